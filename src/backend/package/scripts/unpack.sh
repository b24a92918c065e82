# Values: store, scope, folder, sha256, name of the release, checksums, links, number of files.
# Unpacks the archive into a release of that name, or of the next one that is free, and answers `release NAME`.
#
# The archive has that sha256: its upload digested it before it got its name, and one that was there already was
# digested when the path was claimed. Root alone may write it, and it is not read a second time for that.
open_slot "$1" "$2" "$3"
lock_slot
is_ours || die 21 "it is no longer orch's"
sha=$4 release=$5 number=1
archive=$releases/.$sha.tar.gz
while [ -e "$releases/$release" ] || [ -e "$slot/contents/$release" ]; do
    number=$((number + 1))
    release=$5.$number
done
partial=$releases/.$release.partial
kept=$slot/contents/.$release.partial

failed() {
    free=$(stat -f -c '%a' "$releases" 2>/dev/null || echo 1)
    inodes=$(stat -f -c '%d/%c' "$releases" 2>/dev/null || echo 1/1)
    tidy
    if [ "$free" -lt 8 ]; then die 26 "it is full: $*"; fi
    case $inodes in 0/0) ;; 0/*) die 26 "it has no inodes left: $*" ;; esac
    die 27 "$*"
}

rm -rf "$partial" "$kept"
(umask 077 && mkdir "$partial" && mkdir -p "$kept") || failed "cannot make $partial"
# Nobody else may look in before the permissions are what they are to be. -o is the same for GNU's tar and
# busybox's: files belong to who unpacks them.
said=$(umask 077 && tar -x -z -o -f "$archive" -C "$partial" 2>&1) || failed "tar: $(printf '%s' "$said" | tail -n 1)"
odd=$(find "$partial" ! -type f ! -type d ! -type l | head -n 1)
[ -z "$odd" ] || failed "$odd is neither file, folder nor link"
find "$partial" -type f -perm -100 -exec chmod 755 {} + &&
    find "$partial" -type f ! -perm -100 -exec chmod 644 {} + &&
    find "$partial" -type d -exec chmod 755 {} + || failed "cannot set permissions"

printf '%s' "$6" >"$kept/sums" && printf '%s' "$7" >"$kept/expected" && put "$sha" "$kept/sha256" || failed "cannot write $kept"
bad=$( (cd "$partial" && LC_ALL=C sha256sum -c "$kept/sums" 2>/dev/null) | sed -n 's/: FAILED.*//p' | head -n 3)
[ -z "$bad" ] || failed "these differ after unpacking: $bad"
[ "$(find "$partial" -type f | wc -l)" -eq "$8" ] || failed "there are $(find "$partial" -type f | wc -l) files instead of $8"
links_list "$partial" >"$kept/links" || failed "cannot write $kept"
LC_ALL=C sort "$kept/expected" | cmp -s - "$kept/links" || failed "the links differ after unpacking"
rm -f "$kept/expected"
names_list "$partial" >"$kept/names" && quick_list "$partial" >"$kept/quick" || failed "cannot write $kept"
durable_all "$partial"
durable "$slot"
# What is known of a release is there before the release, which is then there as a whole.
mv "$kept" "$slot/contents/$release" && mv "$partial" "$releases/$release" || failed "cannot rename $partial"
durable_names "$slot/contents"
durable_names "$releases"
rm -f "$archive"
printf 'release %s\n' "$release"
