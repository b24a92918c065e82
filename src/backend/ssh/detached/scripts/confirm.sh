# Says that the machine can be reached: it does not go back by itself. $1: the op-id of the change.
take_turn '' || fail 49 "$slot"
disarm
read_about "$slot/about"
[ "$p_op" = "$1" ] && [ ! -f "$slot/pending" ] || fail 49 "$slot"
rm -f "$slot/back"
echo done
