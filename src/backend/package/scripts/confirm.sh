# Values: store, scope, folder, name of the definition.
open_slot "$1" "$2" "$3"
lock_slot
[ "$(definition now)" = "$4" ] || die 43 "it has gone back by itself"
put "$4" "$slot/confirmed" && durable "$slot"
