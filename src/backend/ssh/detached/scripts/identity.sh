# Who is who: a pid alone means nothing, as the kernel gives it to another process later. Used by the scripts that orch
# runs on a machine and by the keeper. Everything here is a builtin of the shell, or in coreutils and busybox.
nl='
'

# Which boot this is; that of a container too, which shares its kernel's boot id. Sets `boot`.
boot_of() {
    IFS= read -r boot </proc/sys/kernel/random/boot_id || return 1
    stat_of 1 && boot=$boot:$ticks
}

# What the kernel says about a process: $1 its pid. Sets `state`, `parent`, `session` and `ticks`; false where it is gone.
stat_of() {
    stat=
    # Its name, in parentheses, may hold anything, line ends too: the fields are counted from its end.
    while IFS= read -r line; do stat="$stat$line "; done 2>/dev/null <"/proc/$1/stat" || return 1
    stat=${stat##*") "}
    [ -n "$stat" ] || return 1
    # shellcheck disable=SC2086
    set -- $stat
    state=$1 parent=$2 session=$4 ticks=${20}
}

# Whether exactly this process runs: $1 its pid, $2 its start ticks. A zombie does not.
is_alive() {
    [ -n "$1" ] && stat_of "$1" || return 1
    [ "$ticks" = "$2" ] || return 1
    case $state in
        Z | X) return 1 ;;
    esac
}

# Signals exactly this process, checked in the instant before: $1 the signal, $2 its pid, $3 its start ticks.
signal() {
    is_alive "$2" "$3" && kill -s "$1" "$2" 2>/dev/null
}

# Finds what runs of a service. Sets `found`, a line `PID TICKS` for each; the leader of the session is not in it.
#
# $1, $2: pid and start ticks of a session's leader. As long as it lives, whoever is in its session, or descends from
# one that is, is the service's. $3: the mark that the service has in its environment. $4, $5: its program.
find_all() {
    pinned=
    ! is_alive "$1" "$2" || pinned=$1
    ours=' '
    [ -z "$pinned" ] || ours=" $pinned "
    ! is_alive "$4" "$5" || ours="$ours$4 "
    # One look for all; a line for each that may have it, of which the environment is then read.
    # shellcheck disable=SC2046
    for path in $(grep -lsF -- "ORCH_OBJECT=$3" /proc/[0-9]*/environ); do
        pid=${path#/proc/}
        pid=${pid%/environ}
        ! tr '\0' '\n' <"$path" 2>/dev/null | grep -qxF -- "ORCH_OBJECT=$3" || ours="$ours$pid "
    done 2>/dev/null
    all=
    for path in /proc/[0-9]*; do
        pid=${path#/proc/}
        stat_of "$pid" || continue
        case $state in
            Z | X) ;;
            *) all="$all$nl$pid $parent $session $ticks" ;;
        esac
    done
    found=
    grown=yes
    while [ -n "$grown" ]; do
        grown=
        rest=$all$nl
        rest=${rest#"$nl"}
        while [ -n "$rest" ]; do
            # shellcheck disable=SC2086
            set -- "$1" "$2" "$3" "$4" "$5" ${rest%%"$nl"*}
            rest=${rest#*"$nl"}
            case $found$nl in
                *"$nl$6 $9$nl"*) continue ;;
            esac
            [ "$6" != "$1" ] || [ -z "$pinned" ] || continue
            case $ours in
                *" $6 "* | *" $7 "*) ;;
                *) [ -n "$pinned" ] && [ "$8" = "$pinned" ] || continue ;;
            esac
            ours="$ours$6 " found="$found$nl$6 $9" grown=yes
        done
    done
}

# Signals all that was found: $1 the signal.
signal_found() {
    rest=$found$nl
    rest=${rest#"$nl"}
    while [ -n "$rest" ]; do
        one=${rest%%"$nl"*}
        rest=${rest#*"$nl"}
        signal "$1" "${one% *}" "${one#* }"
    done
}

# Hundredths of a second since the boot. Sets `now`.
now_of() {
    read -r now _ </proc/uptime
    fraction=${now#*.}
    now=$((${now%.*} * 100 + 1${fraction} - 100))
}

# So many hundredths of a second as `sleep` takes them: $1. Sets `span`. Some `sleep` takes whole ones only.
whole_seconds=
span_of() {
    if [ -n "$whole_seconds" ]; then
        span=$((($1 + 99) / 100))
        return
    fi
    span=$(($1 % 100))
    [ "$span" -ge 10 ] || span=0$span
    span=$(($1 / 100)).$span
}

# Waits so many hundredths of a second: $1.
nap() {
    span_of "$1"
    sleep "$span" 2>/dev/null && return
    whole_seconds=yes
    span_of "$1"
    sleep "$span"
}

# The folders of programs.
folders=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# Where a program is: $1 its name or path, $2 the folders to look in. Sets `at`. A shell must not be asked: it may have
# something else of that name built in.
look_up() {
    at=$1
    case $1 in
        */*)
            [ -f "$1" ] && [ -x "$1" ]
            return
            ;;
    esac
    rest=$2:
    while [ -n "$rest" ]; do
        at=${rest%%:*}/$1
        rest=${rest#*:}
        [ ! -f "$at" ] || [ ! -x "$at" ] || return 0
    done
    at=$1
    return 1
}

# Calls a function with a command that runs as a user: $1 the function, $2 the user or nothing, then the command. It asks
# for no password: where another user takes root, root runs this.
with_user() {
    next=$1 who=$2
    shift 2
    me=$(id -un)
    if [ -n "$who" ] && [ "$who" != "$me" ]; then
        uid=$(id -u "$who") && gid=$(id -g "$who") || return 126
        if look_up setpriv "$folders" && "$at" --reuid="$uid" --regid="$gid" --init-groups true 2>/dev/null; then
            set -- "$at" --reuid="$uid" --regid="$gid" --init-groups -- "$@"
        elif look_up runuser "$folders"; then
            set -- "$at" -u "$who" -- "$@"
        else
            look_up su "$folders"
            # shellcheck disable=SC2016
            set -- "$at" -m -s /bin/sh -- "$who" -c 'exec "$@"' sh "$@"
        fi
    fi
    "$next" "$@"
}
