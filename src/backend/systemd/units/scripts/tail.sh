# Prints the last lines of a slot's units under the definition that they have, and what systemd said of them.
# $1: how many.
#
# They are chosen by unit and time: of a process that ended at once the journal does not know which start it was.
[ -f "$slot/manifest" ] || exit 0
read_manifest "$slot/manifest"
count=$1 chosen=
# As `--unit` does, but also what the manager's own child says before it becomes the program, above all why it cannot: by
# the time when the journal asks which unit it belongs to, it may be gone.
add_unit() {
    if [ "$manager" = user ]; then
        chosen="$chosen --user-unit=$1"
    else
        chosen="$chosen${chosen:+ +} _SYSTEMD_UNIT=$1"
        for field in UNIT OBJECT_SYSTEMD_UNIT COREDUMP_UNIT; do
            chosen="$chosen + _UID=0 $field=$1"
        done
    fi
}
each add_unit "$m_units"
[ -n "$chosen" ] || exit 0
[ "$manager" = user ] || journalctl --sync >/dev/null 2>&1
set -f
# shellcheck disable=SC2086
journalctl --quiet --no-pager --output=cat --lines="$count" --since="$(date -r "$slot/manifest" +@%s.%6N)" $chosen
