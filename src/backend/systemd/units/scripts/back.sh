# Puts the definition back that a slot had before the last change, if that change was the one of an op-id.
#
# $1: the op-id. $2: for a machine that goes back by itself: for how many seconds, after the change has ended, it waits
# to be told that it can be reached; a slot that had no definition before is gone then.
op=$1 undo=$2
if [ -n "$undo" ]; then
    patience=86400
    take_turn '' || exit 0
    exec 9<&-
    sleep "$undo"
fi
take_turn '' || {
    echo done
    exit 0
}
[ -z "$undo" ] || [ -f "$slot/back" ] || exit 0
read_manifest "$slot/pending"
pending_op=$m_op pending_verb=$m_verb pending_paths=$m_paths pending_start=$m_start pending_enable=$m_enable pending_units=$m_units
read_manifest "$slot/manifest"
now_op=$m_op now_verb=$m_verb now_paths=$m_paths now_start=$m_start now_enable=$m_enable now_units=$m_units now_dirs=$m_dirs now_base=$m_base
if [ "$op" != "${pending_op:-$now_op}" ]; then
    # It never had that change, or went back from it already.
    echo done
    exit 0
fi
[ -n "$undo" ] || disarm
if [ ! -d "$slot/previous" ]; then
    if [ -n "$undo" ] && [ "${pending_verb:-$now_verb}" = create ]; then
        take_away
        echo done
        exit 0
    fi
    fail 52 "$slot"
fi
if [ ! -f "$slot/pending" ]; then
    write pending "$(cat "$slot/manifest")${nl}stamp $(cat "$slot/stamp.json")"
fi
read_manifest "$slot/previous/manifest"
keeps=$m_start$m_units
[ "$now_base" != own ] || each stop_unit "$now_start$pending_start"
keeps=$m_enable
[ "$now_base" != own ] || each disable_unit "$now_enable$pending_enable"
number=0
put_back() {
    number=$((number + 1))
    at "$1"
    if [ -e "$slot/previous/$number" ] || [ -L "$slot/previous/$number" ]; then
        rm -f "${at%/*}/.${at##*/}.orch"
        mkdir -p "${at%/*}"
        cp -pP "$slot/previous/$number" "${at%/*}/.${at##*/}.orch" && keep "${at%/*}/.${at##*/}.orch" &&
            mv -fT "${at%/*}/.${at##*/}.orch" "$at" || fail 43 "$at"
    else
        rm -f "$at"
    fi
}
at_folder() {
    at "$1"
    keep_folder_of "$at"
}
each put_back "$m_paths"
dropped=
each drop_file "$now_paths"
each drop_file "$pending_paths"
take_effect restart
each at_folder "$m_paths"
each keep_folder "$dropped"
[ -z "$m_units" ] || keep_enabled
cp -p "$slot/previous/manifest" "$slot/.manifest.new" && mv -f "$slot/.manifest.new" "$slot/manifest" || fail 43 "$slot/manifest"
write stamp.json "$(cat "$slot/previous/stamp.json")"
rm -f "$slot/pending" "$slot/stopped"
rm -rf "$slot/previous"
keep "$slot"
[ -z "$said" ] || fail 46 "$said"
echo done
