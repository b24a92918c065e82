# Puts the definition back that a slot had before the last change, if that change was the one of an op-id.
#
# $1: the op-id. $2: for a machine that goes back by itself: for how many hundredths of a second, after the change has
# ended, it waits to be told that it can be reached; a slot that had no definition before is gone then.
op=$1 undo=$2
if [ -n "$undo" ]; then
    patience=86400
    take_turn '' || exit 0
    exec 9<&-
    nap "$undo"
fi
take_turn '' || {
    echo done
    exit 0
}
if [ -n "$undo" ]; then
    read -r unconfirmed <"$slot/unconfirmed" && [ "$unconfirmed" = "$op" ] || exit 0
fi
read_about "$slot/pending"
pending_op=$p_op pending_path=$p_path
read_about "$slot/about"
if [ "$op" != "${pending_op:-$p_op}" ]; then
    # It never had that change, or went back from it already.
    echo done
    exit 0
fi
old_path=$p_path
[ -d "$slot/previous" ] || fail 52 "$slot"
disarm
[ -f "$slot/pending" ] || write pending "$(cat "$slot/about")${nl}stamp $(cat "$slot/stamp.json")"
end_all
read_about "$slot/previous/about"
if [ -n "$p_path" ] && [ -f "$slot/previous/program" ]; then
    temporary=${p_path%/*}/.${p_path##*/}.orch
    (umask 022 && mkdir -p "${p_path%/*}")
    cp -p "$slot/previous/program" "$temporary" && keep "$temporary" || fail 43 "$p_path"
    put_program "$temporary" "$p_path"
fi
drop_program "$old_path" "$p_path"
drop_program "$pending_path" "$p_path"
for name in keeper definition; do
    cp -p "$slot/previous/$name" "$slot/.$name.new" && keep "$slot/.$name.new" &&
        mv -f "$slot/.$name.new" "$slot/$name" || fail 43 "$slot/$name"
done
start_keeper
write about "$(cat "$slot/previous/about")"
write stamp.json "$(cat "$slot/previous/stamp.json")"
rm -f "$slot/pending" "$slot/definition.next" "$slot/keeper.next"
rm -rf "$slot/previous"
keep "$slot"
echo done
