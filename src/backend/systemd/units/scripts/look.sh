# Reports slots and what their units do. $1: which folders, a pattern.
[ -d "$store/$scope" ] || exit 0
read -r uptime _ </proc/uptime
printf 'clock %s %s\n' "$uptime" "$(date +%s)"
units=
for slot in "$store/$scope"/$1; do
    [ -f "$slot/stamp.json" ] || [ -f "$slot/pending" ] || continue
    printf 'slot %s\n' "${slot##*/}"
    for part in pending manifest; do
        [ -f "$slot/$part" ] && sed "s/^/$part /" "$slot/$part"
    done
    [ -f "$slot/stamp.json" ] && sed 's/^/stamp /' "$slot/stamp.json"
    [ -e "$slot/stopped" ] && echo stopped
    [ -d "$slot/previous" ] && echo previous
    [ -f "$slot/manifest" ] || continue
    read_manifest "$slot/manifest"
    set --
    add_path() {
        at "$1"
        if [ -L "$at" ]; then
            sum_of "$at"
            printf 'sum %s %s\n' "$sum" "$1"
        elif [ -f "$at" ]; then
            printf 'path %s\n' "$1"
            files=$files$nl$at
        fi
    }
    files=
    each add_path "$m_paths"
    if [ -n "$files" ]; then
        # Paths have no line ends, so that one a line is one a word here.
        old_ifs=$IFS
        IFS=$nl
        set -f
        # shellcheck disable=SC2086
        set -- ${files#"$nl"}
        set +f
        IFS=$old_ifs
        sha256sum -- "$@" | sed 's/^\\//; s/^/sha /' | cut -c1-68
        stat -c 'stat %Z %a %U:%G' -- "$@"
    fi
    units=$units$m_units
done
echo units
[ -n "$units" ] || exit 0
set -f
export TZ=UTC
# shellcheck disable=SC2086
sc show --property=Id,Names,Type,LoadState,UnitFileState,ActiveState,SubState,Result,NRestarts,MainPID,ExecMainPID,ExecMainCode,ExecMainStatus,InvocationID,NeedDaemonReload,DropInPaths,FragmentPath,Job,StatusText,User,InactiveExitTimestampMonotonic,StateChangeTimestampMonotonic,NextElapseUSecRealtime,LastTriggerUSec,RemainAfterExit -- $units 2>&1
