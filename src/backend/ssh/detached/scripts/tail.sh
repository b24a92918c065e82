# Prints the last lines of a log. $1: how many.
[ -d "$slot" ] || exit 0
for number in $(ls "$slot" | sed -n 's/^log\.\([0-9][0-9]*\)$/\1/p' | sort -n); do
    # The oldest one may go while this runs.
    tail -n "$1" "$slot/log.$number" 2>/dev/null
done | tail -n "$1"
