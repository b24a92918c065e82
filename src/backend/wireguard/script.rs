//! The scripts that bring interfaces up and down, and ask them.
//!
//! [`ACT`] writes what it does into the interface's file of progress, which orch made: that it began, as
//! which process, and what the interface is in the end. So orch may be killed at any instant. What it says
//! comes from files, not from pipes, since `wg-quick` gives up halfway when it cannot print.

/// Changes one interface. Its values are the mode, the folder, the interface, the attempt, which interface is
/// orch's (its number, `half` for any, or nothing), the implementation outside the kernel, a time limit in
/// seconds, and what the configuration is given as (`content`, `file` or nothing) with that itself.
pub(super) const ACT: &str = r#"
mode=$1 folder=$2 name=$3 op=$4 own=$5 limit=$7 given=$8 config=$9
PATH=$PATH:/usr/sbin:/sbin
trap '' INT
umask 077
if [ -n "$6" ]; then WG_QUICK_USERSPACE_IMPLEMENTATION=$6; export WG_QUICK_USERSPACE_IMPLEMENTATION; fi
command -v wg-quick >/dev/null && command -v wg >/dev/null || return 10
applied=$folder/applied/$name.conf previous=$folder/previous/$name.conf next=$folder/next/$name.conf

told() { printf '%s %s\n' "$op" "$*" >>"$folder/$name.run"; }
index() { ip -o link show dev "$name" 2>/dev/null | cut -d: -f1; }
begin() { shift 21; told begin "$$" "$1"; }
is_own() { [ "$own" = half ] || [ "$here" = "$own" ]; }

# Prints what was said without what may be secret in a configuration: everything that is not known to be public.
hushed() {
    awk '
    function hide(line, secret,    at, out) {
        while (length(secret) > 2 && (at = index(line, secret))) {
            out = out substr(line, 1, at - 1) "(sensitive)"
            line = substr(line, at + length(secret))
        }
        return out line
    }
    part == 1 {
        at = index($0, "=")
        key = at ? tolower(substr($0, 1, at - 1)) : ""
        gsub(/[ \t\r]/, "", key)
        if (key ~ /^(address|allowedips|dns|endpoint|fwmark|listenport|mtu|persistentkeepalive|publickey|saveconfig|table)$/) next
        value = at ? substr($0, at + 1) : $0
        gsub(/^[ \t]+|[ \t\r]+$/, "", value)
        if (value ~ /^\[/) next
        secrets[++count] = value
        gsub(/[ \t]/, "", value)
        secrets[++count] = value
        next
    }
    # What it does, and the frame of the advice that an implementation outside the kernel prints.
    /^\[#\]/ || /^\342\224/ { next }
    # The kernel could not, and another implementation could.
    /^\[!\]/ { lines = 0; next }
    { for (i = 1; i <= count; i++) $0 = hide($0, secrets[i]); said[++lines] = $0 }
    END { for (i = 1; i <= lines; i++) print said[i] }
    ' part=1 "$1" part=2 -
}

# Runs a command on a configuration; of what it says only complaints are kept.
run() {
    words=$(mktemp) || return 1
    exec 3>"$words" 4<"$words"
    rm -f "$words"
    file=$1
    shift
    timeout -k 5 "$limit" "$@" >&3 2>&3 3>&- 4<&-
    code=$?
    exec 3>&-
    if [ "$code" != 0 ]; then
        said=$(hushed "$file" <&4)
        [ "$code" != 124 ] || said="$said
no end within $limit s"
        printf '%s\n' "${said:-it exited $code}" >&2
    fi
    exec 4<&-
    return "$code"
}

stage() {
    if [ "$given" = content ]; then printf '%s' "$config" >"$next"; else cat "$config" >"$next"; fi
}

# The public keys of the peers that have an endpoint.
peers() {
    awk '
    function flush() { if (key != "" && endpoint) print op " peer " key; key = ""; endpoint = 0 }
    { sub(/#.*/, ""); gsub(/[ \t\r]/, ""); at = index($0, "="); word = tolower(at ? substr($0, 1, at - 1) : $0) }
    /^\[/ { flush(); peer = word == "[peer]"; next }
    peer && word == "publickey" { key = substr($0, at + 1) }
    peer && word == "endpoint" { endpoint = 1 }
    END { flush() }
    ' op="$op" "$applied" >>"$folder/$name.run"
}

up() {
    # The implementation outside the kernel goes a moment after its interface.
    tries=100
    while [ -S "/var/run/wireguard/$name.sock" ] && [ "$tries" -gt 0 ]; do tries=$((tries - 1)); sleep 0.05; done
    run "$applied" wg-quick up "$applied" || return 1
    peers
    told "$1" "$(index)"
}

down() {
    here=$(index)
    [ -n "$here" ] && is_own || return 0
    if [ -e "$applied" ]; then
        run "$applied" wg-quick down "$applied" && return 0
        [ "$own" = half ] || return 1
    fi
    ip link delete dev "$name"
}

# What a configuration has of the interface itself.
itself() {
    awk '
    { sub(/#.*/, ""); gsub(/^[ \t]+|[ \t\r]+$/, "") }
    $0 == "" { next }
    /^\[/ { peer = tolower($0) == "[peer]"; next }
    !peer
    ' "$1"
}

# Whether only peers differ, and routes to them can follow: `wg-quick` has rules of its own for a default route
# and for another table.
only_peers() {
    [ "$(itself "$applied")" = "$(itself "$next")" ] || return 1
    ! cat "$applied" "$next" | grep -qi '^[[:space:]]*allowedips[^#]*/0' || return 1
    table=$(itself "$next" | sed -n 's/^[Tt][Aa][Bb][Ll][Ee][[:space:]]*=[[:space:]]*//p')
    case $table in ''|auto|off) return 0;; *) return 1;; esac
}

allowed() { wg show "$name" allowed-ips | cut -f2 | tr ' ' '\n' | grep / | sort -u; }
family() { case $1 in *:*) echo -6;; *) echo -4;; esac; }

# The peers that are to be reached in another way. One that has a session would seem to answer until that ends.
moved() {
    awk '
    function flush() { if (key != "") { if (part == 1) old[key] = way; else if (key in old && old[key] != way) print key } key = way = "" }
    FNR == 1 { flush(); part = reading }
    { sub(/#.*/, ""); gsub(/[ \t\r]/, ""); at = index($0, "="); word = tolower(at ? substr($0, 1, at - 1) : $0) }
    /^\[/ { flush(); peer = word == "[peer]"; next }
    !peer || word == "" || word == "allowedips" || word == "persistentkeepalive" { next }
    word == "publickey" { key = substr($0, at + 1); next }
    { way = way word substr($0, at) "\n" }
    END { flush() }
    ' reading=1 "$applied" reading=2 "$next"
}

sync() { run "$next" sh -c 'wg-quick strip "$1" | wg syncconf "$2" /dev/stdin' sh "$next" "$name"; }

sync_peers() {
    before=$(allowed)
    sync || return 1
    anew=$(moved)
    for peer in $anew; do wg set "$name" peer "$peer" remove; done
    [ -z "$anew" ] || sync
    [ "$table" != off ] || return 0
    after=$(allowed)
    for route in $before; do
        case "
$after
" in *"
$route
"*) ;; *) ip "$(family "$route")" route del "$route" dev "$name" proto boot 2>/dev/null;; esac
    done
    for route in $(printf '%s\n' "$after" | sort -nr -k 2 -t /); do
        [ -n "$(ip "$(family "$route")" route show dev "$name" match "$route" 2>/dev/null)" ] ||
            ip "$(family "$route")" route add "$route" dev "$name"
    done
}

keep() {
    [ ! -e "$applied" ] || { cp "$applied" "$previous.new" && mv "$previous.new" "$previous"; }
}

# Puts the staged configuration in the place of the applied one, or leaves that.
change() {
    if [ -n "$here" ] && [ "$here" = "$own" ] && [ -e "$applied" ] && only_peers; then
        sync_peers || { told old "$here"; return 13; }
        keep
        mv "$next" "$applied"
        peers
        told new "$here"
        return 0
    fi
    was=$here
    down || { told old "$was"; return 13; }
    keep && mv "$next" "$applied" || { told none; return 14; }
    up new && return 0
    if [ -n "$was" ] && [ "$own" != half ] && [ -e "$previous" ]; then
        mv "$previous" "$applied"
        up old && return 13
    fi
    told none
    return 14
}

here=$(index)
if [ -n "$here" ] && [ "$mode" != down ] && ! is_own; then return 11; fi
case $mode in
    up|switch) stage || return 12;;
    revert) cp "$previous" "$next" || return 15;;
    start|restart) [ -e "$applied" ] || return 15;;
esac
begin $(cat "/proc/$$/stat") || return 16
case $mode in
    up)
        down || { told none; return 14; }
        mv "$next" "$applied" && up new && return 0
        told none
        return 14;;
    switch|revert) change;;
    start|restart)
        down || { told old "$here"; return 13; }
        up new && return 0
        told none
        return 14;;
    down)
        down || { told old "$here"; return 13; }
        told down;;
esac
"#;

/// Prints what an interface says of its peers: the time, and for each peer its endpoint, its last handshake
/// and what may be sent to it.
pub(super) const ASK: &str = r#"
PATH=$PATH:/usr/sbin:/sbin
command -v wg >/dev/null || return 10
wg show "$1" latest-handshakes | sed 's/^/handshake	/' || return
wg show "$1" allowed-ips | sed 's/^/allowed	/'
wg show "$1" endpoints | sed 's/^/endpoint	/'
case $(ip -o link show dev "$1") in *[\<,]UP[,\>]*) echo up;; esac
date '+now	%s'
"#;
