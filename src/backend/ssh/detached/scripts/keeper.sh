# Keeps a service running: starts it, restarts it by its policy, stops it, records how it ended, rotates its log.
#
# $1: the slot's folder. Three processes in one session, joined by pipes: the one that decides tells the one that
# starts, whose output, and the service's, goes to the one that writes the log. Nothing is started with `&`, because a
# shell makes such a process ignore SIGINT and SIGQUIT for good, and the service with it.
#
# $2, $3: `run` and a number where it is the session of the service itself.
slot=$1

# The mark that every process of the service has in its environment: this folder, which no copy of it is.
read -r mark <"$slot/mark"

# Decides. It waits for nothing but the next line of `events`:
# `began NUMBER LEADER TICKS PID TICKS`, `ended NUMBER CODE`, `gone NUMBER`, `due NUMBER`, `stop`.
decide() {
    # Whoever wants to end it says `stop`; what is sent to every process does not leave the service without a keeper.
    trap '' HUP INT QUIT TERM USR1 USR2 PIPE
    read -r self _ </proc/self/stat
    stat_of "$self"
    keeper="$self $ticks"
    stat_of $$
    whole="$$ $ticks"
    boot_of
    # Finds out what `sleep` takes.
    nap 1
    number=0 restarts=0 in_a_row=0 exit=- stopping= timer= timers=0
    start
    while [ "$phase" != over ]; do
        read -r what count one two three four <&3 || continue
        case $what in
            began)
                [ "$count" = "$number" ] || continue
                leader=$one leader_ticks=$two program=$three program_ticks=$four
                phase=running
                enter running
                [ -z "$stopping" ] || ask
                ;;
            ended | gone)
                [ "$count" = "$number" ] && [ -z "$is_over" ] || continue
                is_over=yes
                # One whose session was killed as a whole had no one to tell its exit code.
                exit=${one:-137}
                [ "$what" = ended ] || leader=
                left
                ;;
            due)
                [ "$count" = "$timers" ] || continue
                case $phase in
                    waiting)
                        restarts=$((restarts + 1))
                        start
                        ;;
                    ending) left ;;
                esac
                ;;
            stop)
                [ -z "$stopping" ] || continue
                stopping=yes
                case $phase in
                    waiting) finish stopped ;;
                    running) ask ;;
                esac
                ;;
        esac
    done
}

# Writes what is known, whole or not at all: $1 the state.
enter() {
    now_of
    printf '%s\n' "boot $boot" "keeper $keeper" "whole $whole" "leader $leader $leader_ticks" \
        "program $program $program_ticks" "state $1" "exit $exit" "restarts $restarts" "since $now" \
        >"$slot/.status.new" && mv -f "$slot/.status.new" "$slot/status"
}

start() {
    number=$((number + 1)) phase=starting
    leader= leader_ticks= program= program_ticks= is_over= asked= deadline=
    enter starting
    now_of
    began=$now
    echo "go $number"
}

# Asks the service to stop, all of its group at once.
ask() {
    phase=ending asked=yes
    now_of
    deadline=$((now + grace))
    if [ "$signal" = KILL ]; then
        deadline=$now
    elif is_alive "$leader" "$leader_ticks"; then
        kill -s "$signal" -- -"$leader" 2>/dev/null
    fi
    remind "$((deadline - now))"
}

# Sees to what the service left behind when it ended, and to what does not end.
left() {
    find_all "$leader" "$leader_ticks" "$mark" "$program" "$program_ticks"
    if [ -n "$is_over" ] && [ -z "$found" ]; then
        # The leader of the session held its number, so that nobody else was taken for the service.
        [ -z "$leader" ] || signal KILL "$leader" "$leader_ticks"
        decided
        return
    fi
    now_of
    if [ "$phase" != ending ]; then
        ran=$((now - began))
        phase=ending deadline=$((now + grace))
    fi
    if [ "$now" -ge "$deadline" ]; then
        signal_found KILL
    elif [ "$asked" != left ]; then
        asked=left
        signal_found "$signal"
    fi
    # Those are not the keeper's children, so that it has to look.
    remind 10
}

# What happens once nothing of it is left.
decided() {
    now_of
    ran=${ran:-$((now - began))}
    again=
    case $mode in
        always) [ "$kind" = job ] && [ "$exit" = 0 ] || again=yes ;;
        on-failure) [ "$exit" = 0 ] || again=yes ;;
    esac
    [ "$ran" -lt "$reset_after" ] || in_a_row=0
    ran=
    if [ -n "$stopping" ]; then
        finish stopped
    elif [ -z "$again" ]; then
        finish exited
    elif [ "$in_a_row" -ge "$max_restarts" ]; then
        finish crash-loop
    else
        wait_for=$delay count=$in_a_row
        while [ "$count" -gt 0 ] && [ "$wait_for" -lt "$max_delay" ]; do
            wait_for=$((wait_for * 2)) count=$((count - 1))
        done
        [ "$wait_for" -le "$max_delay" ] || wait_for=$max_delay
        in_a_row=$((in_a_row + 1)) phase=waiting leader= program=
        enter restarting
        remind "$wait_for"
    fi
}

finish() {
    phase=over leader= program=
    forget
    enter "$1"
}

# Lets `due` come after so many hundredths of a second: $1. An earlier one does not come any more.
remind() {
    forget
    timers=$((timers + 1))
    span_of "$1"
    (
        exec >/dev/null 2>&1 </dev/null 8>&-
        trap 'kill "$sleeper"; exit' TERM
        sleep "$span" &
        sleeper=$!
        wait "$sleeper"
        echo "due $timers" >&3
    ) &
    timer=$!
}

forget() {
    [ -z "$timer" ] || kill -TERM "$timer" 2>/dev/null
    timer=
}

# Starts the service whenever it is told to, and tells when its session is gone.
start_all() {
    while read -r _ number; do
        ORCH_OBJECT=$mark setsid $interpreter "$slot/keeper" "$slot" run "$number" 3>&- 8>&- 2>/dev/null </dev/null
        echo "gone $number" >&3
    done
}

# Leads the session of the service until the keeper ends it: while it lives, nobody else has the session's number.
run() {
    trap : HUP INT QUIT TERM USR1 USR2
    read -r leader _ </proc/self/stat
    stat_of "$leader"
    leader="$leader $ticks"
    (
        read -r own _ </proc/self/stat
        stat_of "$own"
        echo "began $1 $leader $own $ticks" >&3
        exec 3>&-
        umask 022
        part=program
        . "$slot/definition"
        # Only the program's own words are left, in `$@`.
        execute "$@"
    ) 2>&1
    code=$?
    echo "ended $1 $code" >&3
    trap '' HUP INT QUIT TERM USR1 USR2
    exec sleep 2147483647 3>&- >/dev/null
}

# What a service gets of its user. Sets HOME, SHELL, USER and LOGNAME.
home_of() {
    USER=$1 HOME=/ SHELL=/bin/sh
    entry=$(getent passwd "$1" 2>/dev/null || grep "^$1:" /etc/passwd)
    case $entry in
        *:*:*:*:*:*:*)
            SHELL=${entry##*:}
            entry=${entry%:*}
            HOME=${entry##*:}
            ;;
    esac
    LOGNAME=$USER
}

# Becomes the program, as its user: what it is told are the program's own words. All is decided before the service's
# variables are there, which may have any name.
execute() {
    cd -- "$folder" || exit 126
    unset OLDPWD SHLVL
    look_up "$1" "$path"
    shift
    with_user equipped "$user" "$at" "$@"
}

equipped() {
    home_of "${who:-$me}"
    PATH=$folders LANG=C.UTF-8
    export PATH HOME USER LOGNAME SHELL LANG ORCH_OBJECT
    unset LC_ALL
    become "$@"
}

# The log is `log.1`, and when that is full `log.2` ... No file is ever renamed, so that whoever reads one reads it to
# its end and then the next one. A line may begin in one file and end in the next.
write_log() {
    number=$(ls "$slot" | sed -n 's/^log\.\([0-9][0-9]*\)$/\1/p' | sort -n | tail -n 1)
    number=${number:-1}
    while :; do
        size=$(wc -c 2>/dev/null <"$slot/log.$number") || size=0
        if [ "$size" -ge "$log_size" ]; then
            number=$((number + 1)) size=0
            rm -f "$slot/log.$((number - log_keep - 1))"
        fi
        # `dd` takes from the pipe only what it writes. A read may give little, so that the size is looked at again.
        if said=$(dd bs=65536 count=$(((log_size - size) / 65536 + 16)) 2>&1 >>"$slot/log.$number"); then
            case $nl$said in
                *"${nl}0+0 records in"*) return ;;
            esac
        else
            # On a full disk lines are lost, so that the service is not stopped by them.
            case $nl$(dd bs=65536 count=16 2>&1 >/dev/null) in
                *"${nl}0+0 records in"*) return ;;
            esac
        fi
    done
}

exec 3<>"$slot/events"
if [ "${2-}" = run ]; then
    run "$3"
    exit
fi
umask 077
part=policy
. "$slot/definition"
decide 2>/dev/null </dev/null | start_all 8>&- | write_log 3>&- 8>&- >/dev/null 2>&1
