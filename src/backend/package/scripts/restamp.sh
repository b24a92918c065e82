# Values: store, scope, folder, op-id ('' to keep the definition), stamp, how many releases stay.
# Gives what runs another stamp; with an op-id, it becomes a definition of its own and is started again.
open_slot "$1" "$2" "$3"
lock_slot
is_ours || die 21 "it is no longer orch's"
now=$(definition now)
[ -n "$now" ] && [ -d "$slot/defs/$now" ] || die 29 "nothing is deployed there"
if [ -z "$4" ]; then
    (umask 077 && put "$5" "$slot/defs/$now/stamp.json") || die 24 "cannot write $slot"
    [ -z "$6" ] || prune "$6"
    exit 0
fi
if [ "$now" != "$4" ]; then
    new=$slot/defs/.$4.new
    rm -rf "$new" "$slot/defs/$4" && cp -R -p "$slot/defs/$now" "$new" && (umask 077 && put "$5" "$new/stamp.json") &&
        mv "$new" "$slot/defs/$4" || die 24 "cannot write $slot"
fi
put "$4" "$slot/pending" && durable "$slot" || die 24 "cannot write $slot"
def=$slot/defs/$4
release=$(cat "$def/release")
[ "$(current_release)" = "$release" ] || relink "releases/$release" "$ip/current" || die 24 "cannot switch $ip/current"
put_unit || exit 41
commit "$4" || die 24 "cannot write $slot"
forget_definitions
