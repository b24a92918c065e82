# Runs a command as the user of a slot's program. $1: seconds that it may take. Then the command.
[ -f "$slot/definition" ] || fail 53 "$slot"
read_user
limit=$1
shift
as_it_is() { "$@"; }
said=$(with_user as_it_is "$user" timeout "$limit" "$@" 2>&1)
printf 'code %s\n' "$?"
printf '%s' "$said" | tail -c 2000
