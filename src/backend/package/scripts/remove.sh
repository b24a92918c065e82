# Values: store, scope, folder.
# Removes all that is orch's; answers `kept` where the install path holds something else and stays.
open_slot "$1" "$2" "$3"
[ -d "$slot" ] || exit 0
lock_slot
unit=$(cat "$slot/unit" 2>/dev/null || :)
if [ -n "$unit" ] && use_systemd; then
    dest=$unit_dir/$unit
    if is_our_unit "$dest"; then remove_unit || die 41 "cannot stop $unit"; fi
fi
if is_ours; then
    case $(readlink "$ip/current" 2>/dev/null || :) in releases/*) rm -f "$ip/current" ;; esac
    rm -f "$ip/current.new"
    rm -rf "$releases"/.*.partial "$releases"/.*.gone "$releases"/.*.tar.gz*
    for kept in "$slot"/contents/*; do
        [ -d "$kept" ] || continue
        rm -rf "$releases/${kept##*/}" || die 24 "cannot remove $releases/${kept##*/}"
    done
    release_path || die 24 "cannot remove $ip/.orch"
    # A folder that orch did not make is left to who made it, empty.
    if [ -n "$(ls -A "$ip" 2>/dev/null | head -n 1)" ]; then printf 'kept\n'; fi
fi
# The stamp goes last, so that what is left after a kill is still known to be orch's.
rm -rf "$slot/contents" "$slot/defs/".*.new
rm -f "$slot/previous" "$slot/unit" "$slot/made" "$slot/path"
mv "$slot" "$slot.gone" && rm -rf "$slot.gone"
