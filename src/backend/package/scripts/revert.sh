# Values: store, scope, folder.
open_slot "$1" "$2" "$3"
lock_slot
is_ours || die 21 "it is no longer orch's"
go_back || die 42 "cannot go back"
