# Reports slots and what their units do: of the manager that the values name, and then of the user's own where $2 is its
# store. $1: which folders, a pattern.
#
# A process costs more than all that a shell does by itself, so there is one of each kind for all slots.

# Prints the lines of a file behind a word: $1 the word, $2 the file.
say_file() {
    while IFS= read -r line || [ -n "$line" ]; do
        printf '%s %s\n' "$1" "$line"
    done <"$2"
}

# Notes a file of the slot to be looked at, and says where a path below the home is.
add_path() {
    at "$1"
    if [ -L "$at" ]; then
        sum_of "$at"
        printf 'sum %s %s\n' "$sum" "$1"
    elif [ -f "$at" ]; then
        printf 'path %s\n' "$1"
        [ "$at" = "$1" ] || printf 'at %s\n' "$at"
        files=$files$nl$at
    fi
}

# Looks at the files that were noted.
look_at_files() {
    [ -n "$files" ] || return 0
    # Paths have no line ends, so that one a line is one a word here.
    old_ifs=$IFS
    IFS=$nl
    set -f
    # shellcheck disable=SC2086
    set -- ${files#"$nl"}
    set +f
    IFS=$old_ifs
    files=
    sha256sum -- "$@"
    stat -c 'stat %Z %a %n' -- "$@"
}

look() {
    printf 'manager %s\n' "$manager"
    read -r uptime _ </proc/uptime
    printf 'clock %s %s\n' "$uptime" "$(date +%s)"
    units= files=
    for slot in "$store/$scope"/$1; do
        [ -f "$slot/stamp.json" ] || [ -f "$slot/pending" ] || continue
        printf 'slot %s\n' "${slot##*/}"
        [ ! -f "$slot/pending" ] || say_file pending "$slot/pending"
        [ ! -f "$slot/stamp.json" ] || say_file stamp "$slot/stamp.json"
        [ ! -e "$slot/stopped" ] || echo stopped
        [ ! -d "$slot/previous" ] || echo previous
        [ -f "$slot/manifest" ] || continue
        read_manifest "$slot/manifest" manifest
        each add_path "$m_paths"
        units=$units$m_units
        # They are words of a command, and those have a limit.
        [ ${#files} -lt 50000 ] || look_at_files
    done
    look_at_files
    echo units
    [ -n "$units" ] || return 0
    set -f
    export TZ=UTC
    # shellcheck disable=SC2086
    sc show --property=Id,Names,Type,LoadState,UnitFileState,ActiveState,SubState,Result,NRestarts,MainPID,ExecMainPID,ExecMainCode,ExecMainStatus,InvocationID,NeedDaemonReload,DropInPaths,FragmentPath,Job,StatusText,User,InactiveExitTimestampMonotonic,StateChangeTimestampMonotonic,NextElapseUSecRealtime,LastTriggerUSec,RemainAfterExit -- $units 2>&1
    code=$?
    set +f
    return "$code"
}

[ ! -d "$store/$scope" ] || look "$1" || exit
[ -n "$2" ] || exit 0
at "$2"
[ -d "$at/$scope" ] || exit 0
use_manager user "$2"
look "$1"
