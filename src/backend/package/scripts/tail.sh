# Values: store, scope, folder, number of lines.
open_slot "$1" "$2" "$3"
unit=$(cat "$slot/unit" 2>/dev/null || :)
if [ ! -e "$slot/hooks.failed" ] && [ -n "$unit" ] && use_systemd; then
    chosen= manager=user
    [ "$(id -u)" != 0 ] || manager=system
    choose_log "$manager" "$unit"
    set -f
    # shellcheck disable=SC2086
    journalctl --no-pager --quiet --output=cat --lines="$4" $chosen
elif [ -f "$slot/hooks.log" ]; then
    tail -n "$4" "$slot/hooks.log"
fi
