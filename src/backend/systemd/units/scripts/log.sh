# Prints what a slot's units logged, an entry a line. $1: how many entries. $2: since when, `@SECONDS`, or nothing.
# $3: `follow` or nothing.
[ -f "$slot/manifest" ] || exit 0
read_manifest "$slot/manifest"
lines=$1 since=$2 follow=$3
chosen=
add_unit() { choose_log "$manager" "$1"; }
each add_unit "$m_units"
set -f
# shellcheck disable=SC2086
exec journalctl --quiet --no-pager --all --output=json --output-fields=MESSAGE --lines="$lines" \
    ${since:+"--since=$since"} ${follow:+--follow} $chosen
