# Values: store, scope, folder, name of the definition, seconds.
# Goes back unless the definition was confirmed so many seconds after its switch has ended.
trap '' HUP PIPE
open_slot "$1" "$2" "$3"
# Nothing is made anew: what was removed stays so.
[ -d "$slot" ] || exit 0
lock_slot
exec 9>&-
sleep "$5"
[ -d "$slot" ] || exit 0
lock_slot
is_ours || exit 0
[ "$(cat "$slot/confirmed" 2>/dev/null || :)" != "$4" ] || exit 0
pending=$(cat "$slot/pending" 2>/dev/null || :)
if [ "$pending" = "$4" ] || { [ -z "$pending" ] && [ "$(definition now)" = "$4" ]; }; then go_back; fi
