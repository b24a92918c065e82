# Becomes a command, as the user of a slot's service. $1: another user. $2: the folder. $3: how many variables, which
# follow as names and values. Then the command.
[ -f "$slot/manifest" ] || fail 53 "$slot"
read_manifest "$slot/manifest"
user=$1 dir=$2 count=$3
shift 3
while [ "$count" -gt 0 ]; do
    export "$1=$2"
    shift 2
    count=$((count - 1))
done
service=
not_timer() {
    case $1 in
        *.timer) ;;
        *) service=${service:-$1} ;;
    esac
}
each not_timer "$m_units"
[ -n "$user" ] || [ "$manager" != system ] || user=$(sc show -p User --value -- "$service" 2>/dev/null)
[ -n "$dir" ] || dir=$(sc show -p WorkingDirectory --value -- "$service" 2>/dev/null)
case $dir in
    /*) cd "$dir" || exit 126 ;;
esac
if [ -n "$user" ] && [ "$user" != "$(id -un)" ]; then
    exec runuser -u "$user" -- "$@"
fi
exec "$@"
