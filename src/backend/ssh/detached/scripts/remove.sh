# Takes a slot away. $1: the address that it must have, as its stamp says it.
take_turn '' || {
    echo done
    exit 0
}
if [ -f "$slot/stamp.json" ]; then
    case $(cat "$slot/stamp.json") in
        *"\"address\":\"$1\""*) ;;
        *)
            # Another service has it by now.
            echo done
            exit 0
            ;;
    esac
fi
disarm
end_all
read_about "$slot/pending"
pending_path=$p_path pending_sum=$p_sum
read_about "$slot/about"
drop_program "$p_path" ''
if [ -n "$pending_path" ] && [ "$pending_path" != "$p_path" ]; then
    sum_of "$pending_path"
    [ "$sum" != "$pending_sum" ] || drop_program "$pending_path" ''
fi
# The stamp goes last: as long as it is there, the next one knows what to take away.
find "$slot" -mindepth 1 -maxdepth 1 ! -name stamp.json ! -name pending ! -name about -exec rm -rf {} +
rm -f "$slot/about" "$slot/pending" "$slot/stamp.json"
rmdir "$slot" || fail 43 "$slot"
rmdir "$store/$scope" 2>/dev/null
sync
echo done
