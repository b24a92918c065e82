# Values: store, scope, folder, program, arguments. Runs a command in the release's folder, with its environment.
open_slot "$1" "$2" "$3"
def=$slot/defs/$(definition now)
cd "$releases/$(cat "$def/release" 2>/dev/null || :)" && . "$def/env" || exit 98
shift 3
"$@" 2>&1
