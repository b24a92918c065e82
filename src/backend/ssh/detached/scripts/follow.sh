# Prints a log, and what comes. $1: how many of its last lines, or nothing for all. $2: `follow`, or nothing.
[ -d "$slot" ] || exit 0
numbers() {
    ls "$slot" | sed -n 's/^log\.\([0-9][0-9]*\)$/\1/p' | sort -n
}
last=
while :; do
    last=$(numbers | tail -n 1)
    [ -z "$last" ] || break
    [ -n "$2" ] || exit 0
    sleep 1
done
exec 5<"$slot/log.$last"
size=$(wc -c <"$slot/log.$last")
for number in $(numbers); do
    if [ "$number" -ge "$last" ]; then
        head -c "$size" "$slot/log.$last"
        break
    fi
    # The oldest one may go while this runs.
    if [ -n "$1" ]; then tail -n "$1" "$slot/log.$number"; else cat "$slot/log.$number"; fi 2>/dev/null
done | if [ -n "$1" ]; then tail -n "$1"; else cat; fi
[ -n "$2" ] || exit 0
tail -c "+$((size + 1))" <&5
while :; do
    # First whether there is a next one, then the rest: what has a next one gets nothing more.
    next=$(numbers | while read -r number; do
        if [ "$number" -gt "$last" ]; then
            echo "$number"
            break
        fi
    done)
    cat <&5
    if [ -n "$next" ]; then
        exec 5<"$slot/log.$next"
        last=$next
    else
        sleep 1
    fi
done
