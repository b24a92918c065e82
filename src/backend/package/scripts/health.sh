# Values: store, scope, folder. Answers what the package's own check says; exit code 99 where it has none.
open_slot "$1" "$2" "$3"
def=$slot/defs/$(definition now)
dir=$releases/$(cat "$def/release" 2>/dev/null || :)
for name in scripts/health-check.sh scripts/health-check; do
    [ -f "$dir/$name" ] || continue
    cd "$dir" && . "$def/env" || exit 98
    ORCH_RELEASE=$dir ORCH_PREVIOUS='' ORCH_INSTALL_PATH=$ip
    export ORCH_RELEASE ORCH_PREVIOUS ORCH_INSTALL_PATH
    if [ -x "$name" ]; then "./$name" 2>&1; else sh -e "./$name" 2>&1; fi
    exit
done
exit 99
