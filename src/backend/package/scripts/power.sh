# Values: store, scope, folder, start or stop.
open_slot "$1" "$2" "$3"
lock_slot
[ -n "$(definition now)$(cat "$slot/pending" 2>/dev/null || :)" ] || die 29 "nothing is deployed there"
unit=$(cat "$slot/unit" 2>/dev/null || :)
if [ -z "$unit" ] || [ ! -f "$slot/defs/$(definition now)/unit" ]; then
    # Nothing runs, but it counts as stopped until it is started.
    if [ "$4" = stop ]; then : >"$slot/stopped"; else rm -f "$slot/stopped"; fi
    exit
fi
use_systemd || die 23 "it has no systemd, which runs the package's entry point"
is_our_unit "$unit_dir/$unit" || exit 0
if [ "$4" = start ]; then
    manager enable --quiet "$unit"
    manager reset-failed "$unit" 2>/dev/null || :
fi
# A unit that is stopped stays stopped when the machine starts again.
[ "$4" = start ] || manager disable --quiet "$unit"
manager "$4" "$unit" || exit 41
