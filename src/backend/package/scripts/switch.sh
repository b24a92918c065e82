# Values: store, scope, folder, name of the definition, release, stamp, commands before, commands after, environment,
# name of the unit ('' where nothing is run), unit, its environment, seconds to be confirmed in (0 for no
# confirmation), the script that goes back by itself, how many releases stay, mode of the unit.
open_slot "$1" "$2" "$3"
lock_slot
is_ours || die 21 "it is no longer orch's"
id=$4 keep=${15}
if [ "$(definition now)" = "$id" ] && [ ! -e "$slot/pending" ]; then exit 0; fi

write() (
    umask 077
    new=$slot/defs/.$id.new
    rm -rf "$new" && mkdir -p "$new" && printf '%s\n' "$5" >"$new/release" && printf '%s' "$6" >"$new/stamp.json" &&
        printf '%s\n' "$7" >"$new/pre" && printf '%s\n' "$8" >"$new/post" && printf '%s\n' "$9" >"$new/env" || return 1
    [ -n "$7" ] || : >"$new/pre"
    [ -n "$8" ] || : >"$new/post"
    if [ -n "${10}" ]; then
        printf '%s' "${11}" >"$new/unit" && printf '%s\n' "${16}" >"$new/unit.mode" &&
            printf '%s' "${12}" >"$new/unit.env" && put "${10}" "$slot/unit" || return 1
    fi
    durable "$new"
    # The same attempt began before: its definition is the same, but may be of another release folder.
    if [ "$(definition now)" != "$id" ]; then rm -rf "$slot/defs/$id" && mv "$new" "$slot/defs/$id"; else rm -rf "$new"; fi
)
write "$@" || die 24 "cannot write $slot/defs"
was=$(cat "$slot/pending" 2>/dev/null || :)
now=$(definition now)
# What is interrupted has not passed its gate: what was there before it stays the one to go back to.
if [ -n "$now" ] && [ "$was" != "$now" ]; then
    relink "defs/$now" "$slot/previous" || die 24 "cannot write $slot"
fi
[ -L "$slot/stamp.json" ] || relink now/stamp.json "$slot/stamp.json" || die 24 "cannot write $slot"
put "$id" "$slot/pending" && durable "$slot" || die 24 "cannot write $slot"
rm -f "$slot/confirmed"
if [ "${13}" != 0 ]; then
    put "${14}" "$slot/back.sh" || die 24 "cannot write $slot"
    # It waits for the lock, that is for the end of this script, and then for the confirmation.
    if use_systemd && [ "$(id -u)" = 0 ]; then
        systemd-run --quiet --collect /bin/sh "$slot/back.sh" "$1" "$2" "$3" "$id" "${13}" 9>&- || die 28 "cannot arm the way back"
    elif command -v setsid >/dev/null; then
        setsid /bin/sh "$slot/back.sh" "$1" "$2" "$3" "$id" "${13}" </dev/null >/dev/null 2>&1 9>&- &
    else
        die 28 "it has neither systemd nor setsid to arm the way back with"
    fi
fi
bring "$id"
case $? in
0) ;;
1)
    # Nothing was touched: what was interrupted before stays so, and nothing else was.
    if [ -n "$was" ]; then put "$was" "$slot/pending"; else rm -f "$slot/pending"; fi
    exit 40
    ;;
*) exit 41 ;;
esac
commit "$id" || die 24 "cannot write $slot"
forget_definitions
prune "$keep"
exit 0
