PATH=${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin
umask 022

die() {
    code=$1
    shift
    printf '%s\n' "$*" >&2
    exit "$code"
}

# The folder of a slot: store ('' for the usual one), scope, name of the folder.
open_slot() {
    store=$1 scope=$2 folder=$3
    if [ -z "$store" ]; then
        if [ "$(id -u)" = 0 ]; then store=/var/lib/orch; else store=$HOME/.local/state/orch; fi
    fi
    slot=$store/$scope/$folder
    mark="orch $scope $folder"
    ip=$(cat "$slot/path" 2>/dev/null || :)
    releases=$ip/releases
}

# One script at a time works on a slot: one that a killed orch left behind is waited for. The file is
# removed with the slot, so whoever waited for it looks whether it still is the one.
lock_slot() {
    command -v flock >/dev/null || die 25 "it has no flock (util-linux or busybox)"
    while :; do
        (umask 077 && mkdir -p "$slot") || die 24 "cannot make $slot"
        exec 9>"$slot/lock" || die 24 "cannot write $slot/lock"
        flock 9 || die 24 "cannot lock $slot/lock"
        [ "$slot/lock" -ef /proc/self/fd/9 ] && return
        exec 9>&-
    done
}

is_ours() {
    [ -n "$ip" ] && [ "$(cat "$ip/.orch" 2>/dev/null || :)" = "$mark" ]
}

# Makes durable a file, or all that is in a folder: for few files. What gets or loses a name in a folder is so with the
# folder.
durable() {
    find "$1" \( -type f -o -type d \) -exec sync {} + 2>/dev/null || sync
}

# Makes durable the names that a folder has.
durable_names() {
    sync "$1" 2>/dev/null || sync
}

# Makes durable all that was written to the file system of a path. That waits for whatever else is being written there.
durable_all() {
    sync -f "$1" 2>/dev/null || sync
}

# Writes a file by a temporary name: text, path.
put() {
    printf '%s' "$1" >"$2.new" && mv -f "$2.new" "$2"
}

# Points a link somewhere else, and there is no instant without it: target, path.
relink() {
    rm -f "$2.new" && ln -s "$1" "$2.new" || return 1
    mv -f -T "$2.new" "$2" 2>/dev/null && return
    # A mv that does not know -T would move the new link into the folder that the old one leads to.
    perl -e 'rename $ARGV[0], $ARGV[1] or exit 1' "$2.new" "$2" 2>/dev/null && return
    python3 -c 'import os, sys; os.rename(sys.argv[1], sys.argv[2])' "$2.new" "$2" 2>/dev/null && return
    rm -f "$2.new"
    return 1
}

# The name of the definition that a link of the slot leads to: now or previous.
definition() {
    link=$(readlink "$slot/$1" 2>/dev/null || :)
    printf '%s' "${link#defs/}"
}

# The release that a definition runs.
release_of() {
    cat "$slot/defs/$1/release" 2>/dev/null || :
}

# The release that current leads to; what else it leads to is no release.
current_release() {
    link=$(readlink "$ip/current" 2>/dev/null || :)
    case $link in
    releases/*/*) ;;
    releases/*) printf '%s' "${link#releases/}" ;;
    esac
}

# Every file with all that changes when it does.
quick_list() {
    (cd "$1" && find . -exec stat -c '%n|%f|%u|%g|%s|%Y|%i' {} + | LC_ALL=C sort)
}

# Every file with its kind, permissions and owner.
names_list() {
    (cd "$1" && find . -exec stat -c '%n|%f|%u|%g' {} + | LC_ALL=C sort)
}

links_list() {
    (cd "$1" && find . -type l -exec sh -c 'for l; do printf "%s -> %s\n" "$l" "$(readlink "$l")"; done' sh {} + |
        LC_ALL=C sort)
}

# In what a release differs from what was unpacked, a line each; nothing where it does not.
differs() {
    dir=$releases/$1 kept=$slot/contents/$1
    [ -d "$dir" ] || { printf 'the release folder %s is gone\n' "$dir"; return; }
    [ -d "$kept" ] || { printf 'nothing is known of the release folder %s\n' "$dir"; return; }
    if quick_list "$dir" 2>/dev/null | cmp -s - "$kept/quick"; then return; fi
    { names_list "$dir" 2>/dev/null; cat "$kept/names"; } | LC_ALL=C sort | uniq -u |
        sed 's/|[^|]*|[^|]*|[^|]*$//; s/^\.\///' | uniq | sed "s|^|$1: changed, added or missing: |" | head -n 5
    links_list "$dir" 2>/dev/null | cmp -s - "$kept/links" || printf '%s: a link leads elsewhere\n' "$1"
    (cd "$dir" && LC_ALL=C sha256sum -c "$kept/sums" 2>/dev/null) | sed -n 's|: FAILED.*||p' | sed "s|^|$1: changed: |" | head -n 5
}

# Whether a process of this machine runs a program of a folder, or works in it.
is_used() {
    real=$(cd -P "$1" 2>/dev/null && pwd -P) || return 1
    for process in /proc/[0-9]*; do
        for what in exe cwd; do
            case $(readlink "$process/$what" 2>/dev/null || :)/ in
            "$real"/*) return 0 ;;
            esac
        done
    done
    return 1
}

drop_release() {
    rm -rf "$releases/.$1.gone"
    if [ -e "$releases/$1" ]; then mv "$releases/$1" "$releases/.$1.gone" || return 1; fi
    rm -rf "$slot/contents/$1" "$releases/.$1.gone"
}

# Removes releases until as many are left as are to stay, the oldest first; never one that may be
# needed to run, to go back to, or by a process. A name of a release has no letter that a shell minds.
prune() {
    now=$(release_of "$(definition now)")
    previous=$(release_of "$(definition previous)")
    pending=$(release_of "$(cat "$slot/pending" 2>/dev/null || :)")
    linked=$(current_release)
    left=$1
    for release in $(ls -1t "$slot/contents" 2>/dev/null); do
        [ -d "$releases/$release" ] || { rm -rf "$slot/contents/$release"; continue; }
        case $release in "$now" | "$previous" | "$pending" | "$linked")
            left=$((left - 1))
            continue
            ;;
        esac
        if [ ! -e "$slot/contents/$release/damaged" ] && [ "$left" -gt 0 ]; then
            left=$((left - 1))
            continue
        fi
        is_used "$releases/$release" || drop_release "$release" || :
    done
}

use_systemd() {
    [ -d /run/systemd/system ] && command -v systemctl >/dev/null || return 1
    if [ "$(id -u)" = 0 ]; then
        unit_dir=/etc/systemd/system
    else
        unit_dir=$HOME/.config/systemd/user
        XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
        export XDG_RUNTIME_DIR
    fi
}

manager() {
    if [ "$(id -u)" = 0 ]; then systemctl "$@" 9>&-; else systemctl --user "$@" 9>&-; fi
}

# Whether a file is a unit of this slot.
is_our_unit() {
    [ -f "$1" ] && grep -qxF "# $mark" "$1"
}
