# Takes away what a slot consists of, and nothing else. What its stamp and its interrupted change list is known to
# `now_*` and `pending_*`.
take_away() {
    keeps= m_paths= dropped=
    units=$now_start$pending_start
    if [ "$now_base" = own ]; then
        each stop_unit "$units"
        each stop_unit "$now_units$pending_units"
        each disable_unit "$now_enable$pending_enable"
    fi
    each drop_file "$now_paths"
    each drop_file "$pending_paths"
    each drop_dir "$now_dirs"
    if [ -n "$now_units$pending_units" ]; then
        sc daemon-reload 2>/dev/null
        if [ "$now_base" = own ]; then
            each reset_unit "$now_units$pending_units"
        else
            # It goes on without what was added to it.
            each try_restart "$units"
        fi
    fi
    # The stamp goes last: as long as it is there, the next one knows what to take away.
    find "$slot" -mindepth 1 -maxdepth 1 ! -name stamp.json ! -name pending ! -name manifest -exec rm -rf {} +
    rm -f "$slot/manifest" "$slot/pending" "$slot/stamp.json"
    rmdir "$slot"
    rmdir "$store/$scope" 2>/dev/null
    each keep_folder "$dropped"
    [ -z "$now_units$pending_units" ] || keep_enabled
    keep_folder "$store/$scope"
    keep_folder "$store"
}

try_restart() {
    sc --no-block try-restart "$1" 2>/dev/null
    return 0
}
