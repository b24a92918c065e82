# Runs a command as the user of a slot's service. $1: seconds that it may take. Then the command.
[ -f "$slot/manifest" ] || fail 53 "$slot"
read_manifest "$slot/manifest"
limit=$1
shift
service=
not_timer() {
    case $1 in
        *.timer) ;;
        *) service=${service:-$1} ;;
    esac
}
each not_timer "$m_units"
user=$(sc show -p User --value -- "$service" 2>/dev/null)
if [ -n "$user" ] && [ "$manager" = system ]; then
    said=$(runuser -u "$user" -- timeout "$limit" "$@" 2>&1)
else
    said=$(timeout "$limit" "$@" 2>&1)
fi
code=$?
printf 'code %s\n' "$code"
printf '%s' "$said" | tail -c 2000
exit 0
