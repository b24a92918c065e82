# Runs a hook of a definition in its release's folder; what it says is kept: name, program and arguments.
hook() {
    what=$1
    shift
    printf -- '--- %s\n' "$what" >>"$slot/hooks.log"
    (
        exec 9>&-
        unset LC_ALL
        cd "$dir" || exit 1
        . "$def/env" || exit 1
        ORCH_RELEASE=$dir ORCH_PREVIOUS=$before ORCH_INSTALL_PATH=$ip
        export ORCH_RELEASE ORCH_PREVIOUS ORCH_INSTALL_PATH
        exec "$@"
    ) </dev/null >>"$slot/hooks.log" 2>&1 && return
    code=$?
    : >"$slot/hooks.failed"
    tail -n 30 "$slot/hooks.log"
    printf '%s ended with exit code %s\n' "$what" "$code" >&2
    return 1
}

# The script of a package: its name.
script_hook() {
    for name in "scripts/$1.sh" "scripts/$1"; do
        [ -f "$dir/$name" ] || continue
        if [ -x "$dir/$name" ]; then hook "$name" "./$name"; else hook "$name" sh -e "./$name"; fi
        return
    done
}

put_unit() {
    unit=$(cat "$slot/unit" 2>/dev/null || :)
    [ -n "$unit" ] || return 0
    use_systemd || { printf 'it has no systemd\n' >&2; return 1; }
    dest=$unit_dir/$unit
    if [ ! -f "$def/unit" ]; then
        if is_our_unit "$dest"; then remove_unit; fi
        return
    fi
    if [ -e "$dest" ] && ! is_our_unit "$dest"; then
        printf '%s is not orch'\''s\n' "$dest" >&2
        return 1
    fi
    user=$(id -un)
    if [ "$(id -u)" != 0 ] && [ ! -e "/var/lib/systemd/linger/$user" ]; then
        # What a user runs would end with the login.
        loginctl enable-linger >/dev/null 2>&1 || sudo -n loginctl enable-linger "$user" >/dev/null 2>&1 || {
            printf 'the units of %s would end with the login: run loginctl enable-linger\n' "$user" >&2
            return 1
        }
    fi
    mkdir -p "$unit_dir"
    (umask 077 && cat "$def/unit.env" >"$slot/env.new" && mv -f "$slot/env.new" "$slot/env") || return 1
    if ! cmp -s "$def/unit" "$dest"; then
        # One that holds what may be secret is the manager's alone to read.
        (umask 077 && cat "$def/unit" >"$dest.orch-new") && chmod "$(cat "$def/unit.mode")" "$dest.orch-new" &&
            durable "$dest.orch-new" && mv -f "$dest.orch-new" "$dest" || return 1
        manager daemon-reload || return 1
    elif [ "$(manager show -p NeedDaemonReload --value "$unit")" = yes ]; then
        manager daemon-reload || return 1
    fi
    manager enable --quiet "$unit" || return 1
    # Starts that failed before must not count against this one.
    manager reset-failed "$unit" 2>/dev/null || :
    manager restart "$unit"
}

remove_unit() {
    manager disable --quiet --now "$unit" || return 1
    rm -f "$dest" "$dest.orch-new" "$slot/env" && manager daemon-reload
    manager reset-failed "$unit" 2>/dev/null || :
}

# Brings up a definition: the name of it. What fails before the switch leaves everything as it was (1);
# after it, what was begun (2).
bring() {
    def=$slot/defs/$1
    release=$(cat "$def/release") && dir=$releases/$release && [ -d "$dir" ] || {
        printf 'the release %s is gone\n' "${release:-}" >&2
        return 1
    }
    before=$(current_release)
    before=${before:+$releases/$before}
    : >"$slot/hooks.log"
    rm -f "$slot/hooks.failed"
    script_hook pre-start || return 1
    if [ -s "$def/pre" ]; then hook pre_install sh -e "$def/pre" || return 1; fi
    if [ "$(current_release)" != "$release" ]; then
        relink "releases/$release" "$ip/current" || {
            printf 'cannot switch %s\n' "$ip/current" >&2
            return 2
        }
    fi
    durable_names "$ip"
    put_unit || return 2
    script_hook post-start || return 2
    if [ -s "$def/post" ]; then hook post_install sh -e "$def/post" || return 2; fi
    touch "$slot/contents/$release"
}

# Makes a definition the one that counts: the name of it.
commit() {
    relink "defs/$1" "$slot/now" && durable_all "$slot" && rm -f "$slot/pending" "$slot/stopped"
}

forget_definitions() {
    for def in "$slot"/defs/*; do
        case ${def##*/} in "$(definition now)" | "$(definition previous)") ;; *) rm -rf "$def" ;; esac
    done
}

# Goes back to the definition before the last switch. One that was gone back to already, or was never
# left, is fine.
go_back() {
    previous=$(definition previous)
    if [ -z "$previous" ]; then return 0; fi
    if [ "$previous" = "$(definition now)" ] && [ ! -e "$slot/pending" ]; then
        rm -f "$slot/previous"
        return 0
    fi
    put "$previous" "$slot/pending" && bring "$previous" && commit "$previous" && rm -f "$slot/previous" || return
    forget_definitions
}
