# Values: store, scope, folder of one slot, or * for all.
# Tells what there is of each slot, one line for each fact.
scope_folder() {
    open_slot "$1" "$2" "$3"
    [ -d "$slot" ] || return
    now=$(definition now)
    pending=$(cat "$slot/pending" 2>/dev/null || :)
    stamp=$slot/defs/${now:-$pending}/stamp.json
    printf 'slot %s\n' "$folder"
    [ -f "$stamp" ] && printf 'stamp %s\n' "$(cat "$stamp")"
    printf 'path %s\n' "$ip"
    [ -z "$pending" ] || printf 'pending %s\n' "$pending"
    release=$(release_of "${now:-$pending}")
    if [ -n "$now" ]; then
        is_ours || printf 'missing %s is no longer there, or no longer orch'\''s\n' "$ip"
        if [ ! -L "$ip/current" ] && [ ! -e "$ip/current" ]; then
            printf 'missing %s is gone\n' "$ip/current"
        elif [ "$(current_release)" != "$release" ]; then
            printf 'identity %s leads to %s\n' "$ip/current" "$(readlink "$ip/current" || echo 'no release')"
        elif [ ! -d "$releases/$release" ]; then
            printf 'missing the release folder %s is gone\n' "$releases/$release"
        else
            differs "$release" | sed 's/^/config /'
        fi
        stat -c 'since %Y' "$slot/defs/$now"
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
                printf 'missing the unit %s is gone\n' "$dest"
            elif ! cmp -s "$slot/defs/${now:-$pending}/unit" "$dest"; then
                printf 'config the unit %s was changed\n' "$dest"
            elif ! cmp -s "$slot/defs/${now:-$pending}/unit.env" "$slot/unit.env"; then
                printf 'config the environment of the unit %s was changed\n' "$unit"
            fi
            drop_ins=$(manager show -p DropInPaths --value "$unit" 2>/dev/null)
            [ -z "$drop_ins" ] || printf 'config the unit has drop-ins: %s\n' "$drop_ins"
            manager show -p ActiveState,SubState,Result,NRestarts,ExecMainPID,ExecMainStatus,ExecMainCode,InvocationID,MainPID,StateChangeTimestamp,NeedDaemonReload "$unit" 2>/dev/null | sed 's/^/unit.show /'
        fi
    fi
    printf 'end\n'
}
if [ "$3" = '*' ]; then
    open_slot "$1" "$2" none
    for found in "$store/$scope"/package-*; do
        case $found in *.gone) ;; *) scope_folder "$1" "$2" "${found##*/}" ;; esac
    done
else
    scope_folder "$1" "$2" "$3"
fi
exit 0
