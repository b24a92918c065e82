# Prints a log from its beginning, or its last lines, and what comes. $1: how many lines, or nothing for all. $2: `follow`
# or nothing.
[ -d "$slot" ] || exit 0
# The oldest file that is there, of those that are rotated away. Sets `number`, 0 for the one that is written to.
oldest() {
    number=$(ls "$slot" | sed -n 's/^log\.\([0-9][0-9]*\)$/\1/p' | sort -n | tail -n 1)
    number=${number:-0}
}
name_of() {
    if [ "$1" = 0 ]; then name=$slot/log; else name=$slot/log.$1; fi
}
# The file is held open from here on, so that its rotation changes its name and not what is read.
while ! { [ -f "$slot/log" ] && command exec 5<"$slot/log"; }; do
    [ -n "$2" ] || exit 0
    sleep 1
done
size=$(wc -c </proc/self/fd/5)
oldest
{
    while [ "$number" -gt 0 ]; do
        name_of "$number"
        [ ! -f "$name" ] || [ "$name" -ef /proc/self/fd/5 ] || if [ -n "$1" ]; then tail -n "$1" "$name"; else cat "$name"; fi
        number=$((number - 1))
    done
    head -c "$size" </proc/self/fd/5
} | if [ -n "$1" ]; then tail -n "$1"; else cat; fi
[ -n "$2" ] || exit 0
tail -c "+$((size + 1))" <&5
while :; do
    if [ "$slot/log" -ef /proc/self/fd/5 ] || [ ! -f "$slot/log" ]; then
        sleep 1
        cat <&5
        continue
    fi
    # It was rotated away: the rest of it, and then the one that came after it.
    cat <&5
    number=1
    name_of 1
    while [ -f "$name" ] && ! [ "$name" -ef /proc/self/fd/5 ]; do
        number=$((number + 1))
        name_of "$number"
    done
    name_of $((number - 1))
    command exec 5<"$name" || exit 1
    cat <&5
done
