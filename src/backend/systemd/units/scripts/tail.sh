# Prints the last lines of a slot's units under the definition that they have, and what systemd said of them.
# $1: how many.
#
# They are chosen by unit and time: of a process that ended at once the journal does not know which start it was.
[ -f "$slot/manifest" ] || exit 0
read_manifest "$slot/manifest"
count=$1 chosen=
add_unit() { choose_log "$manager" "$1"; }
each add_unit "$m_units"
[ -n "$chosen" ] || exit 0
[ "$manager" = user ] || journalctl --sync >/dev/null 2>&1
set -f
# shellcheck disable=SC2086
journalctl --quiet --no-pager --output=cat --lines="$count" --since="$(date -r "$slot/manifest" +@%s.%6N)" $chosen
