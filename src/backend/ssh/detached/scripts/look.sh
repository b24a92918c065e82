# Reports the slots of a scope that have a keeper. $1: which folders, a pattern.
[ -d "$store/$scope" ] || exit 0
read -r uptime _ </proc/uptime
boot_of
printf 'clock %s %s\n' "$uptime" "$boot"
for slot in "$store/$scope"/$1; do
    # Those of units have other files.
    [ -f "$slot/about" ] || [ -f "$slot/definition" ] || [ -f "$slot/pending" ] || continue
    [ ! -f "$slot/manifest" ] || continue
    printf 'slot %s\n' "${slot##*/}"
    [ ! -f "$slot/stamp.json" ] || sed 's/^/stamp /' "$slot/stamp.json"
    [ ! -f "$slot/pending" ] || sed 's/^/pending /' "$slot/pending"
    [ ! -d "$slot/previous" ] || echo previous
    tries=100
    while :; do
        keeper= program=
        read_status || break
        # Read after the status, so that a keeper that ended in between has written its last word.
        ! is_alive "$s_keeper" "$s_keeper_ticks" || keeper=yes
        ! is_alive "$s_program" "$s_program_ticks" || program=yes
        case $s_state:$keeper:$program in
            # Its program has ended, and the keeper is about to notice; or it is about to start.
            running:yes: | starting:yes:) ;;
            # It has written another word since.
            running:* | starting:* | restarting:*)
                [ -z "$keeper" ] || break
                said=$s_state$s_since
                read_status
                [ "$said" != "$s_state$s_since" ] || break
                ;;
            *) break ;;
        esac
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || break
        nap 2
    done
    [ ! -f "$slot/status" ] || printf '%s\n' "status $s_state" "exit $s_exit" "restarts $s_restarts" "since $s_since" \
        "boot $s_boot" "keeper $s_keeper" "program $s_program $s_program_ticks"
    [ -z "$keeper" ] || echo keeps
    [ -z "$program" ] || echo runs
    read_about "$slot/about"
    sum_of "$slot/definition"
    printf 'sum %s definition\n' "$sum"
    if [ -n "$p_path" ]; then
        sum_of "$p_path"
        printf 'sum %s %s\n' "$sum" "$p_path"
    fi
done
