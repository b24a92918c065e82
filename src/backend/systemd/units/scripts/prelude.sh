# What every script on a slot begins with: where things are, and whose turn it is.
#
# $1: the manager, `system` or `user`. $2: the store. $3: the scope. $4: the slot's folder.
manager=$1 store=$2 scope=$3 folder=$4
shift 4
umask 077
nl='
'

# Says why it ends, on a line of its own, and ends: $1 the exit code, $2 what it is about.
fail() {
    printf 'failed %s\n' "$2"
    exit "$1"
}

# Puts a path that begins with `~/` below the home.
at() {
    case $1 in
        '~/'*) at=$HOME/${1#'~/'} ;;
        *) at=$1 ;;
    esac
}

# The number of the user that this runs as: from the kernel, without a process where that can be.
uid_of() {
    while read -r key _ uid _; do
        [ "$key" != Uid: ] || return 0
    done 2>/dev/null </proc/self/status
    uid=$(id -u)
}

# Sets whose units it is about, and where the slots are: $1 the manager, $2 the store.
use_manager() {
    manager=$1
    at "$2"
    store=$at
    uid_of
    if [ "$manager" = user ]; then
        : "${XDG_RUNTIME_DIR:=/run/user/$uid}"
        export XDG_RUNTIME_DIR
        sc() { systemctl --user "$@"; }
    else
        [ "$uid" = 0 ] || fail 40 "$(id -un)"
        sc() { systemctl "$@"; }
    fi
}
use_manager "$manager" "$store"
slot=$store/$scope/$folder

# Only one script at a time works on a slot: one whose connection was lost goes on, and the next waits for it.
# The lock is on the folder itself, which may have been removed while this one waited.
patience=300
take_turn() {
    while :; do
        [ -n "$1" ] || [ -d "$slot" ] || return 1
        [ -d "$slot" ] || {
            (umask 022 && mkdir -p "${store%/*}" "$store" "$store/$scope") && mkdir -p "$slot" || fail 43 "$slot"
        }
        command exec 9<"$slot" || continue
        flock -w "$patience" 9 || fail 45 "$slot"
        [ "$slot" -ef /proc/self/fd/9 ] && return 0
    done
}

# The sha256 of a file, or of what a link points to; `-` where there is nothing.
sum_of() {
    if [ -L "$1" ]; then
        sum=$(printf %s "$(readlink "$1")" | sha256sum)
    elif [ -f "$1" ]; then
        sum=$(sha256sum <"$1")
    else
        sum=-
    fi
    sum=${sum%% *}
}

# Makes what was written to files durable, their names too.
keep() {
    sync "$@" 2>/dev/null || sync
}

# Makes durable that what is in a folder has its name, or has lost it. A `sync` of everything would wait for whatever
# else the machine is writing.
keep_folder() {
    [ ! -d "$1" ] || keep "$1"
}

keep_folder_of() {
    keep_folder "${1%/*}"
}

# The same for what `systemctl enable` and `disable` do.
keep_enabled() {
    links=/etc/systemd/system
    [ "$manager" != user ] || links=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user
    set -- "$links"/*.wants
    [ -d "$1" ] || shift
    [ ! -d "$links" ] || keep "$links" "$@"
}

# Writes a file of the slot whole or not at all: $1 its name, $2 its content.
write() {
    printf '%s\n' "$2" >"$slot/.$1.new" && keep "$slot/.$1.new" && mv -f "$slot/.$1.new" "$slot/$1" || fail 43 "$slot/$1"
}

# Reads a manifest: $1 its file. Sets what it lists, one a line. Prints its lines behind the word $2, where there is one.
read_manifest() {
    m_op= m_revision= m_verb= m_base=own m_paths= m_sums= m_dirs= m_units= m_start= m_enable= m_disable=
    [ -f "$1" ] || return 0
    while IFS= read -r line; do
        rest=${line#* }
        [ -z "${2-}" ] || printf '%s %s\n' "$2" "$line"
        case $line in
            'op '*)
                m_op=${rest%% *}
                rest=${rest#* }
                m_revision=${rest%% *} m_verb=${rest#* }
                ;;
            'base '*) m_base=$rest ;;
            'file '* | 'link '*)
                sum=${rest%% *}
                rest=${rest#* }
                rest=${rest#* }
                m_paths=$m_paths$nl${rest#* }
                m_sums=$m_sums$nl$sum\ ${rest#* }
                ;;
            'dir '*) m_dirs=$m_dirs$nl$rest ;;
            'unit '*) m_units=$m_units$nl$rest ;;
            'start '*) m_start=$m_start$nl$rest ;;
            'enable '*) m_enable=$m_enable$nl$rest ;;
            'disable '*) m_disable=$m_disable$nl$rest ;;
        esac
    done <"$1"
}

# Whether a list, one item a line, has an item: $1 the list, $2 the item.
has() {
    case $1$nl in
        *"$nl$2$nl"*) return 0 ;;
    esac
    return 1
}

# Calls a function with each item of a list: $1 the function, $2 the list.
each() {
    rest_of=$2$nl
    while [ -n "$rest_of" ]; do
        item=${rest_of%%"$nl"*}
        rest_of=${rest_of#*"$nl"}
        [ -z "$item" ] || "$1" "$item"
    done
}

# Stops what would bring the slot back by itself. It never runs without the script that is its own.
disarm() {
    [ -f "$slot/back" ] || return 0
    sc stop "orch-back-$scope-$folder.service" >/dev/null 2>&1
    return 0
}

# The files that are not part of the slot any more go: $1 a path. Set `m_paths` to what stays.
drop_file() {
    has "$m_paths" "$1" && return 0
    at "$1"
    rm -f "$at" "${at%/*}/.${at##*/}.orch" && dropped=$dropped$nl${at%/*}
}

drop_dir() {
    at "$1"
    rmdir "$at" 2>/dev/null
    return 0
}

stop_unit() {
    has "$keeps" "$1" || sc stop "$1" >/dev/null 2>&1
    return 0
}

disable_unit() {
    has "$keeps" "$1" || sc --no-reload disable "$1" >/dev/null 2>&1
    return 0
}

enable_unit() {
    sc --no-reload enable "$1" >/dev/null 2>"$slot/.said" || said=$(cat "$slot/.said")
}

# A unit that failed, or that was started often, starts afresh.
reset_unit() {
    sc reset-failed "$1" >/dev/null 2>&1
    return 0
}

restart_unit() {
    # Its end is for the gate to wait for: a unit may take long to say that it is ready.
    sc --no-block restart "$1" 2>"$slot/.said" || said=$(cat "$slot/.said")
}

# Puts a definition into force that has its files in place: $1 whether it is restarted. Uses the manifest that was
# read last.
take_effect() {
    said=
    [ -z "$m_units" ] && return 0
    if [ "$m_base" = own ]; then
        each disable_unit "$m_disable"
        each enable_unit "$m_enable"
    fi
    sc daemon-reload 2>"$slot/.said" || fail 46 "$(cat "$slot/.said")"
    if [ -n "$1" ]; then
        each reset_unit "$m_units"
        each restart_unit "$m_start"
    fi
    rm -f "$slot/.said"
}
