# Starts or stops what a slot consists of. $1: `start` or `stop`.
take_turn '' || fail 53 "$slot"
[ -f "$slot/manifest" ] || fail 53 "$slot"
read_manifest "$slot/manifest"
start_unit() {
    sc --no-block start "$1" 2>"$slot/.said" || said=$(cat "$slot/.said")
}
end_unit() {
    sc stop "$1" 2>"$slot/.said" || said=$(cat "$slot/.said")
}
said= keeps=
if [ "$m_base" = own ]; then
    if [ "$1" = start ]; then
        each enable_unit "$m_enable"
        each reset_unit "$m_units"
        each start_unit "$m_start"
        rm -f "$slot/stopped"
    else
        # One that was stopped does not come back with the machine.
        : >"$slot/stopped"
        each disable_unit "$m_enable"
        each end_unit "$m_start"
        each end_unit "$m_units"
    fi
fi
rm -f "$slot/.said"
[ -z "$said" ] || fail 46 "$said"
echo done
