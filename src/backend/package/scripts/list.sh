# Values: store, scope, folder of one slot, or * for all.
# Tells what there is of each slot, one line for each fact.
scope_folder() {
    open_slot "$1" "$2" "$3"
    # What was only prepared has no definition: it is the next preparation's.
    [ -d "$slot/defs" ] || return
    now=$(definition now)
    pending=$(cat "$slot/pending" 2>/dev/null || :)
    stamp=$slot/defs/${now:-$pending}/stamp.json
    printf 'slot %s\n' "$folder"
    [ -f "$stamp" ] && printf 'stamp %s\n' "$(cat "$stamp")"
    printf 'path %s\n' "$ip"
    [ -z "$pending" ] || printf 'pending %s\n' "$pending"
    release=$(release_of "${now:-$pending}")
    if [ -n "$now" ]; then
        printf 'definition %s\n' "$now"
        is_ours || printf 'release.missing %s is no longer there, or no longer orch'\''s\n' "$ip"
        if [ ! -L "$ip/current" ] && [ ! -e "$ip/current" ]; then
            printf 'current.missing %s is gone\n' "$ip/current"
        elif [ "$(current_release)" != "$release" ]; then
            printf 'current.identity %s leads to %s\n' "$ip/current" "$(readlink "$ip/current" || echo 'no release')"
        elif [ ! -d "$releases/$release" ]; then
            printf 'release.missing the release folder %s is gone\n' "$releases/$release"
        else
            differs "$release" | sed 's/^/release.config /'
        fi
        printf 'age %s\n' "$(($(date +%s) - $(stat -c %Y "$slot/now")))"
    fi
    [ ! -e "$slot/stopped" ] || printf 'stopped\n'
    printf 'running %s\n' "$(current_release)"
    printf 'release %s\n' "$release"
    unit=$(cat "$slot/unit" 2>/dev/null || :)
    if [ -n "$unit" ] && [ -f "$slot/defs/${now:-$pending}/unit" ]; then
        printf 'unit %s\n' "$unit"
        if use_systemd; then
            dest=$unit_dir/$unit
            if [ ! -f "$dest" ]; then
                printf 'unit.missing the unit %s is gone\n' "$dest"
            elif ! cmp -s "$slot/defs/${now:-$pending}/unit" "$dest"; then
                printf 'unit.config the unit %s was changed\n' "$dest"
            elif ! cmp -s "$slot/defs/${now:-$pending}/unit.env" "$slot/env"; then
                printf 'unit.config the environment of the unit %s was changed\n' "$unit"
            fi
            drop_ins=$(manager show -p DropInPaths "$unit" 2>/dev/null)
            [ -z "${drop_ins#DropInPaths=}" ] || printf 'drop-in the unit has drop-ins: %s\n' "${drop_ins#DropInPaths=}"
            manager show -p ActiveState,SubState,UnitFileState,Result,NRestarts,ExecMainStatus,ExecMainCode,InvocationID,MainPID,StateChangeTimestampMonotonic "$unit" 2>/dev/null | sed 's/^/unit.show /'
        fi
    fi
    printf 'end\n'
}
printf 'uptime %s\n' "$(cut -d' ' -f1 /proc/uptime)"
if [ "$3" = '*' ]; then
    open_slot "$1" "$2" none
    for found in "$store/$scope"/package-*; do
        case $found in *.gone) ;; *) scope_folder "$1" "$2" "${found##*/}" ;; esac
    done
else
    scope_folder "$1" "$2" "$3"
fi
exit 0
