# Values: store, scope, folder, install path, ports as the kernel writes them.
# Answers what stands in the way of a package, a line each.
path=$4
if [ "$(cat "$path/.orch" 2>/dev/null || :)" != "orch $2 $3" ]; then
    if [ -e "$path/.orch" ]; then
        printf 'path another project'\''s package\n'
    elif [ -d "$path" ]; then
        other=$(ls -A "$path" | grep -vx -e '\.orch\.new' -e 'lost+found' | head -n 1)
        [ -z "$other" ] || printf 'path files that are not orch'\''s, such as %s\n' "$other"
    elif [ -e "$path" ]; then
        printf 'path a file\n'
    fi
fi
shift 4
for port; do
    # State 0A is a socket that listens.
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q ":$port [0-9A-F]*:0000 0A " && printf 'port %s\n' "$port"
done
exit 0
