# Prints the last lines that a slot's units logged since they were last started. $1: how many.
[ -f "$slot/manifest" ] || exit 0
read_manifest "$slot/manifest"
journalctl --sync >/dev/null 2>&1
count=$1
set --
add_run() {
    id=$(sc show -p InvocationID --value -- "$1" 2>/dev/null)
    [ -n "$id" ] || return 0
    runs="$runs $id"
}
runs=
each add_run "$m_units"
for id in $runs; do
    # What it said, and what systemd said of it.
    set -- "$@" ${1:++} "_SYSTEMD_INVOCATION_ID=$id" + "INVOCATION_ID=$id" + "USER_INVOCATION_ID=$id"
done
[ $# -gt 0 ] || exit 0
journalctl --quiet --no-pager --output=cat --lines="$count" "$@"
