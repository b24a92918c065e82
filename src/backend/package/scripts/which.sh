# Values: store, scope, folder, sha256.
# Answers the name of the good release of an archive, nothing where there is none.
open_slot "$1" "$2" "$3"
for kept in "$slot"/contents/*; do
    release=${kept##*/}
    [ "$(cat "$kept/sha256" 2>/dev/null || :)" = "$4" ] && [ ! -e "$kept/damaged" ] && [ -d "$releases/$release" ] || continue
    printf '%s\n' "$release"
    exit 0
done
