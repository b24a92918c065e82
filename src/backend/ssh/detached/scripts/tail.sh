# Prints the last lines of a log. $1: how many.
[ -d "$slot" ] || exit 0
number=$(ls "$slot" | sed -n 's/^log\.\([0-9][0-9]*\)$/\1/p' | sort -n | tail -n 1)
number=${number:-0}
{
    while [ "$number" -gt 0 ]; do
        [ ! -f "$slot/log.$number" ] || tail -n "$1" "$slot/log.$number"
        number=$((number - 1))
    done
    [ ! -f "$slot/log" ] || tail -n "$1" "$slot/log"
} | tail -n "$1"
