# Starts or stops what a slot has. $1: `start` or `stop`.
take_turn '' || fail 53 "$slot"
[ -f "$slot/stamp.json" ] && [ -f "$slot/definition" ] || fail 53 "$slot"
read_status
if [ "$1" = stop ]; then
    end_all
    [ "$s_state" = stopped ] || note_stopped
elif ! is_alive "$s_keeper" "$s_keeper_ticks"; then
    end_all
    start_keeper
fi
echo done
