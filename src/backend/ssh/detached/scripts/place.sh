# Puts a definition in the place of the one that a slot has, or of none, and starts it.
#
# $1: the verb. $2: the op-id. $3: the revision. $4: the stamp. $5: the definition. $6: the keeper. $7: the user.
# $8: the working folder. $9: the program. Then: the PATH that it is looked up in; the sha256 of the file that becomes
# it, or nothing, and its name in the slot's folder; hundredths of a second until it goes back by itself, or nothing, and
# the script that does.
verb=$1 op=$2 revision=$3 stamp=$4 definition=$5 keeper=$6 user=$7 folder=$8 program=$9
shift 9
path=$1 sha=$2 uploaded=$3 confirm=$4 back=$5

take_turn make
read_about "$slot/pending"
interrupted=$p_op pending_path=$p_path pending_sum=$p_sum
read_about "$slot/about"
old_op=$p_op old_revision=$p_revision old_verb=$p_verb old_path=$p_path
if [ -z "$interrupted" ] && [ "$old_op $old_verb" = "$op $verb" ]; then
    echo done
    exit 0
fi

# Nothing was changed yet: a folder that was made for this goes again.
refuse() {
    rm -rf "$slot/previous.new"
    rm -f "$slot/$uploaded"
    [ -f "$slot/stamp.json" ] || [ -f "$slot/pending" ] || rm -rf "$slot"
    fail "$1" "$2"
}

if [ -n "$user" ]; then
    id -u "$user" >/dev/null 2>&1 || refuse 47 "$user"
    [ "$(id -u)" = 0 ] || [ "$(id -un)" = "$user" ] || refuse 55 "$user"
    [ "$(id -un)" = "$user" ] || look_up setpriv "$folders" || look_up runuser "$folders" || look_up su "$folders" ||
        refuse 57 "$user"
fi
[ -d "$folder" ] || refuse 56 "$folder"
new_path=
if [ -n "$sha" ]; then
    new_path=$program
    temporary=${program%/*}/.${program##*/}.orch
    if [ -e "$program" ] || [ -L "$program" ]; then
        sum_of "$program"
        [ "$program" = "$old_path" ] || { [ "$program" = "$pending_path" ] && [ "$sum" = "$pending_sum" ]; } ||
            refuse 41 "$program"
    fi
else
    look_up "$program" "$path" || refuse 48 "$program"
fi

# What it takes to go back. With an interrupted change it is kept already: what is in place may be half of each.
if [ -z "$interrupted" ] && [ -f "$slot/stamp.json" ] && [ "$old_revision" != "$revision" ]; then
    rm -rf "$slot/previous.new"
    mkdir "$slot/previous.new" &&
        cp -p "$slot/stamp.json" "$slot/about" "$slot/definition" "$slot/keeper" "$slot/previous.new/" ||
        refuse 43 "$slot/previous"
    if [ -n "$old_path" ] && [ -f "$old_path" ]; then
        # A program is replaced and never changed, so that a second name for it is as good as a copy.
        ln "$old_path" "$slot/previous.new/program" 2>/dev/null ||
            cp -p "$old_path" "$slot/previous.new/program" || refuse 43 "$slot/previous"
    fi
    sync
    rm -rf "$slot/previous"
    mv "$slot/previous.new" "$slot/previous" || refuse 43 "$slot/previous"
elif [ -z "$interrupted" ]; then
    # Under the same definition there is nothing to go back to.
    confirm=
fi
disarm
about="op $op${nl}revision $revision${nl}verb $verb${nl}path $new_path${nl}sum $sha"
write pending "$about${nl}stamp $stamp"
write definition.next "$definition"
write keeper.next "$keeper"
if [ -n "$sha" ]; then
    sum_of "$program"
    if [ "$sum" != "$sha" ]; then
        (umask 022 && mkdir -p "${program%/*}") || fail 43 "${program%/*}"
        cp -- "$slot/$uploaded" "$temporary" && chmod 0755 "$temporary" && keep "$temporary" || fail 43 "$program"
        sum_of "$temporary"
        [ "$sum" = "$sha" ] || fail 43 "$program"
    fi
fi
if [ -n "$confirm" ]; then
    write back "$back"
    write unconfirmed "$op"
    (
        trap - HUP PIPE
        cd /
        env -i PATH="$folders" LC_ALL=C HOME="$HOME" \
            setsid setsid /bin/sh "$slot/back" 9>&- </dev/null >/dev/null 2>&1
    )
fi

# From here on it is carried through. The old one is ended under its own definition.
end_all
[ -z "$sha" ] || put_program "$temporary" "$program"
drop_program "$old_path" "$new_path"
drop_program "$pending_path" "$new_path"
mv -f "$slot/keeper.next" "$slot/keeper" && mv -f "$slot/definition.next" "$slot/definition" || fail 43 "$slot"
start_keeper
write about "$about"
write stamp.json "$stamp"
rm -f "$slot/pending"
find "$slot" -maxdepth 1 -name 'upload.*' -exec rm -f {} +
keep "$slot"
echo done
