# Adds to `chosen`, as arguments of journalctl, what a unit logs and what is logged of it: by systemd, by who notes
# crashes, by others. That is what `--unit` chooses, and what systemd says of a process that it could not start: of one
# that ended at once the journal may be too late to see whose it was, but the unit is named.
#
# $1: `user` for a unit of the user's own manager. $2: the unit.
choose_log() {
    if [ "$1" = user ]; then
        own=_UID=$(id -u)
        for field in _SYSTEMD_USER_UNIT USER_UNIT COREDUMP_USER_UNIT OBJECT_SYSTEMD_USER_UNIT; do
            chosen="$chosen${chosen:+ +} $field=$2 $own"
        done
        chosen="$chosen + COREDUMP_USER_UNIT=$2 _UID=0 + OBJECT_SYSTEMD_USER_UNIT=$2 _UID=0"
    else
        chosen="$chosen${chosen:+ +} _SYSTEMD_UNIT=$2"
        for field in UNIT COREDUMP_UNIT OBJECT_SYSTEMD_UNIT; do
            chosen="$chosen + $field=$2 _UID=0"
        done
    fi
}
