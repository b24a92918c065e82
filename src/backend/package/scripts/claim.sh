# Values: store, scope, folder, install path, unit ('' where nothing is run), sha256, name of the release, packed
# bytes, unpacked bytes, entries, keep.
# Answers what there is of the release: `release NAME`, `archive` or `nothing`. Takes possession of the
# install path, sweeps what a killed attempt left, and makes sure that there is room.
open_slot "$1" "$2" "$3"
if [ -n "$5" ]; then
    use_systemd || die 23 "it has no systemd, which is to run the package's entry point"
fi
for tool in tar gzip sha256sum stat find cmp; do
    command -v "$tool" >/dev/null || die 25 "it has no $tool"
done
lock_slot
ip=$4 releases=$4/releases
if [ -e "$ip/.orch" ] || [ -L "$ip/.orch" ]; then
    is_ours || die 21 "it is another project's: see $ip/.orch"
else
    if [ -e "$ip" ]; then
        [ -d "$ip" ] || die 21 "it is no folder"
        other=$(ls -A "$ip" | grep -vx -e '\.orch\.new' -e 'lost+found' | head -n 1)
        [ -z "$other" ] || die 21 "it holds files that are not orch's, such as $other"
    else
        mkdir -p "$(dirname "$ip")" && put made "$slot/made" && mkdir "$ip" || die 24 "cannot make it"
    fi
    put "$mark" "$ip/.orch" || die 24 "cannot write into it"
fi
put "$ip" "$slot/path" && mkdir -p "$releases" "$slot/contents" "$slot/defs" || die 24 "cannot write into it"

# A deployment begins: what would be gone back to from the last one is not what this one goes back to.
[ -e "$slot/pending" ] || rm -f "$slot/previous"

archive=$releases/.$6.tar.gz
for leftover in "$releases"/.*.partial "$releases"/.*.gone "$releases"/.*.tar.gz* "$slot"/contents/.*.partial "$slot"/defs/.*.new; do
    [ "$leftover" = "$archive" ] || rm -rf "$leftover"
done
for kept in "$slot"/contents/*; do
    [ -e "$kept" ] && [ ! -d "$releases/${kept##*/}" ] && rm -rf "$kept"
done

for kept in "$slot"/contents/*; do
    [ "$(cat "$kept/sha256" 2>/dev/null || :)" = "$6" ] && [ ! -e "$kept/damaged" ] || continue
    if [ -z "$(differs "${kept##*/}")" ]; then
        rm -f "$archive"
        printf 'release %s\n' "${kept##*/}"
        exit 0
    fi
    # It may be what runs now: a good one is put beside it.
    : >"$kept/damaged" || die 24 "cannot write $kept"
done

prune "$((${11} > 1 ? ${11} - 1 : 1))"
there=nothing
if [ -f "$archive" ]; then
    if [ "$(sha256sum <"$archive" | cut -d' ' -f1)" = "$6" ]; then there=archive; else rm -f "$archive"; fi
fi
set -- "$1" "$2" "$3" "$8" "$9" "${10}" $(stat -f -c '%a %S %c %d' "$releases")
# Each file takes whole blocks, and a folder at least one; a sixteenth more for what the file system keeps.
blocks=$(($5 / $8 + $6 + 8))
[ "$there" = archive ] || blocks=$((blocks + $4 / $8 + 1))
blocks=$((blocks + blocks / 16))
if [ "$blocks" -gt "$7" ]; then
    tidy
    die 26 "it needs $((blocks * $8 / 1024)) KiB and has $(($7 * $8 / 1024)) KiB free"
fi
# A file system that makes inodes as it needs them says that it has none.
if [ "$9" != 0 ] && [ "$(($6 + 8))" -gt "${10}" ]; then
    tidy
    die 26 "it needs $(($6 + 8)) inodes and has ${10} free"
fi
printf '%s\n' "$there"
