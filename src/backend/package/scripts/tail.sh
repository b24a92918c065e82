# Values: store, scope, folder, number of lines.
open_slot "$1" "$2" "$3"
unit=$(cat "$slot/unit" 2>/dev/null || :)
if [ ! -e "$slot/hooks.failed" ] && [ -n "$unit" ] && use_systemd; then
    if [ "$(id -u)" = 0 ]; then
        journalctl --no-pager --quiet --output=cat --lines="$4" --unit="$unit"
    else
        journalctl --user --no-pager --quiet --output=cat --lines="$4" --unit="$unit"
    fi
elif [ -f "$slot/hooks.log" ]; then
    tail -n "$4" "$slot/hooks.log"
fi
