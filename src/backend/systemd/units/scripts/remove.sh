# Takes a slot away. $1: the address that it must have, as its stamp says it.
take_turn '' || {
    echo done
    exit 0
}
if [ -f "$slot/stamp.json" ]; then
    stamp=$(cat "$slot/stamp.json")
    case $stamp in
        *"\"address\":\"$1\""*) ;;
        # Another service has it by now.
        *)
            echo done
            exit 0
            ;;
    esac
fi
disarm
read_manifest "$slot/pending"
pending_paths=$m_paths pending_start=$m_start pending_enable=$m_enable pending_units=$m_units
read_manifest "$slot/manifest"
now_paths=$m_paths now_start=$m_start now_enable=$m_enable now_units=$m_units now_dirs=$m_dirs now_base=$m_base
take_away
echo done
