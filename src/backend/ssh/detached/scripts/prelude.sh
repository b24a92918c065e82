# What every script on a slot begins with: where things are, and whose turn it is.
#
# $1: the store; empty for the user's own. $2: root's store. $3: another user's, below the home. $4: the scope.
# $5: the slot's folder.
store=$1 scope=$4 folder_name=$5
if [ -z "$store" ]; then
    if [ "$(id -u)" = 0 ]; then store=$2; else store=$HOME/$3; fi
fi
shift 5
slot=$store/$scope/$folder_name
umask 077

# Says why it ends, on a line of its own, and ends: $1 the exit code, $2 what it is about.
fail() {
    printf 'failed %s\n' "$2"
    exit "$1"
}

# Only one script at a time works on a slot: one whose connection was lost goes on, and the next waits for it.
# The lock is on the folder itself, which may have been removed while this one waited. $1: `make` where it may be new.
patience=300
take_turn() {
    for tool in setsid flock mkfifo dd grep tr; do
        command -v "$tool" >/dev/null 2>&1 || fail 40 "$tool"
    done
    while :; do
        [ -d "$slot" ] || [ -n "$1" ] || return 1
        [ -d "$slot" ] || {
            (umask 022 && mkdir -p "$store" "$store/$scope") && mkdir -p "$slot" || fail 43 "$slot"
        }
        command exec 9<"$slot" || continue
        flock -w "$patience" 9 || fail 45 "$slot"
        [ "$slot" -ef /proc/self/fd/9 ] && break
    done
    inode=$(ls -di "$slot")
    inode=${inode#"${inode%%[0-9]*}"}
    mark=$slot:${inode%% *}
}

# Makes what was written to files durable, their names too.
keep() {
    sync "$@" 2>/dev/null || sync
}

# Writes a file of the slot whole or not at all: $1 its name, $2 its content.
write() {
    printf '%s\n' "$2" >"$slot/.$1.new" && keep "$slot/.$1.new" && mv -f "$slot/.$1.new" "$slot/$1" ||
        fail 43 "$slot/$1"
}

# The sha256 of a file; `-` where there is none. Sets `sum`.
sum_of() {
    sum=-
    [ ! -f "$1" ] || sum=$(sha256sum <"$1")
    sum=${sum%% *}
}

# What the keeper last wrote. What it says about processes holds for its own boot only.
read_status() {
    s_boot= s_keeper= s_keeper_ticks= s_whole= s_whole_ticks= s_leader= s_leader_ticks= s_program= s_program_ticks=
    s_state= s_exit=- s_restarts=0 s_since=0
    [ -f "$slot/status" ] || return 1
    while read -r key one two; do
        case $key in
            boot) s_boot=$one ;;
            keeper) s_keeper=$one s_keeper_ticks=$two ;;
            whole) s_whole=$one s_whole_ticks=$two ;;
            leader) s_leader=$one s_leader_ticks=$two ;;
            program) s_program=$one s_program_ticks=$two ;;
            state) s_state=$one ;;
            exit) s_exit=$one ;;
            restarts) s_restarts=$one ;;
            since) s_since=$one ;;
        esac
    done <"$slot/status"
    boot_of
    [ "$boot" = "$s_boot" ] || s_keeper= s_whole= s_leader= s_program=
}

# Which definition, and which attempt, a file of the slot speaks of: $1 its path. Sets `p_op`, `p_revision`,
# `p_verb`, `p_path` and `p_sum`.
read_about() {
    p_op= p_revision= p_verb= p_path= p_sum=
    [ -f "$1" ] || return 1
    while IFS= read -r line; do
        case $line in
            'op '*) p_op=${line#op } ;;
            'revision '*) p_revision=${line#revision } ;;
            'verb '*) p_verb=${line#verb } ;;
            'path '*) p_path=${line#path } ;;
            'sum '*) p_sum=${line#sum } ;;
        esac
    done <"$1"
}

# The signal and the time that the definition in force gives the service to stop.
read_policy() {
    signal=TERM grace=1000 interpreter=/bin/sh
    part=policy
    # shellcheck source=/dev/null
    [ ! -f "$slot/definition" ] || . "$slot/definition"
}

# The user and the folder of the program. Its words stay in here.
read_user() {
    part=program
    # shellcheck source=/dev/null
    . "$slot/definition"
}

# Ends all that runs of the slot. Afterwards nothing of it runs, and descriptor 8 is the lock that its keeper has.
end_all() {
    read_policy
    exec 8>>"$slot/lock" || fail 43 "$slot/lock"
    told= tries=0
    now_of
    begun=$now
    while ! flock -n 8; do
        read_status
        now_of
        if [ $((now - begun)) -gt $((grace + 2000)) ]; then
            # Its keeper does not answer, and so what it was to do is done without it.
            [ -n "$s_whole" ] || fail 45 "$slot"
            end_keeper
            end_left
        elif is_alive "$s_keeper" "$s_keeper_ticks"; then
            [ -n "$told" ] || echo stop 1<>"$slot/events"
            told=yes
        elif [ -n "$s_keeper" ]; then
            end_left
            end_keeper
        fi
        nap 5
    done
    read_status
    end_left
}

# Ends what is left of a keeper that was killed, or does not answer: everything in its session.
end_keeper() {
    find_all "$s_whole" "$s_whole_ticks" '' '' ''
    is_alive "$s_whole" "$s_whole_ticks" || return 0
    signal_found KILL
    signal KILL "$s_whole" "$s_whole_ticks"
}

# Ends what a keeper left behind that was killed: the stop signal, the time that the service has, then SIGKILL.
end_left() {
    now_of
    asked= deadline=$((now + grace))
    while :; do
        find_all "$s_leader" "$s_leader_ticks" "$mark" "$s_program" "$s_program_ticks"
        [ -n "$found" ] || break
        now_of
        if [ "$now" -ge $((deadline + 1000)) ]; then
            fail 46 "${found#"$nl"}"
        elif [ "$now" -ge "$deadline" ]; then
            signal_found KILL
        elif [ -z "$asked" ]; then
            asked=yes
            signal_found "$signal"
        fi
        nap 5
    done
    signal KILL "$s_leader" "$s_leader_ticks"
    return 0
}

# Starts the keeper of the definition that is in place, which has the lock from the first instant on. Nothing of the
# slot runs. Returns once the service runs, or has ended.
start_keeper() {
    read_policy
    write mark "$mark"
    rm -f "$slot/status" "$slot/events"
    mkfifo "$slot/events" || fail 43 "$slot/events"
    # The first `setsid` leads a session, and so the second one forks: the keeper runs without `&`, which would make it
    # ignore SIGINT and SIGQUIT.
    (
        trap - HUP PIPE
        cd /
        # shellcheck disable=SC2086
        env -i PATH="$folders" LC_ALL=C \
            setsid setsid $interpreter "$slot/keeper" "$slot" 9>&- </dev/null >/dev/null 2>&1
    )
    exec 8>&-
    tries=3000
    while :; do
        ! read_status || [ "$s_state" = starting ] || return 0
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail 54 "$slot"
        if (exec 8>>"$slot/lock" && flock -n 8); then
            # It is gone: with a last word, or without.
            read_status && [ "$s_state" != starting ] && return 0
            fail 54 "$slot"
        fi
        nap 2
    done
}

# Writes down that nothing of it runs because that was asked for.
note_stopped() {
    boot_of
    now_of
    write status "boot $boot${nl}state stopped${nl}exit $s_exit${nl}restarts $s_restarts${nl}since $now"
}

# The program that was uploaded has its place: $1 the staged file, $2 its place.
put_program() {
    [ -f "$1" ] || return 0
    mv -f "$1" "$2" || fail 43 "$2"
}

# The programs that the slot does not have any more go: those at $1, unless it is $2.
drop_program() {
    [ -z "$1" ] || [ "$1" = "$2" ] || rm -f "$1" "${1%/*}/.${1##*/}.orch"
}

# Stops what waits to bring the definition before back by itself.
disarm() {
    rm -f "$slot/unconfirmed"
}
