# Runs a command of a person. $1: the user; the program's own where it is not given. $2: the folder. $3: how many
# variables. Then each name and value, and the command.
[ -f "$slot/definition" ] || fail 53 "$slot"
read_user
user=${1:-$user} folder=${2:-$folder} count=$3
shift 3
while [ "$count" -gt 0 ]; do
    export "$1=$2"
    shift 2
    count=$((count - 1))
done
cd -- "$folder" || exit 126
umask 022
as_it_is() { exec "$@"; }
with_user as_it_is "$user" "$@"
