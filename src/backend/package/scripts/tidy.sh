# Takes back what a preparation that failed began, and the possession where nothing was ever deployed.
tidy() {
    rm -rf "$releases"/.*.partial "$releases"/.*.gone "$releases"/.*.tar.gz* "$slot"/contents/.*.partial
    if [ -L "$slot/now" ] || [ -e "$slot/pending" ] || [ -n "$(ls "$slot/contents" 2>/dev/null)" ]; then return; fi
    release_path && rm -rf "$slot"
}

# Gives the install path back: what is orch's goes, and the folders where nothing else is in them.
release_path() {
    if is_ours; then
        rmdir "$releases" 2>/dev/null || :
        # The proof of ownership goes last: as long as anything of orch's is there, it is known whose it is.
        rm -f "$ip/.orch" "$ip/.orch.new" || return 1
        if [ -e "$slot/made" ]; then rmdir "$ip" 2>/dev/null || :; fi
    fi
}
