# Puts a definition in the place of the one that a slot has, or of none.
#
# $1: the verb. $2: the op-id. $3: the revision. $4: `restart` or nothing. $5: whether it goes back by itself
# unless that is confirmed. $6: the script that does. $7: the stamp. Then the definition, item by item.
verb=$1 op=$2 revision=$3 restart=$4 confirm=$5 back=$6 stamp=$7
shift 7

# Calls a function with each item of the definition and its fields.
each_item() {
    call=$1
    shift
    while [ $# -gt 0 ]; do
        case $1 in
            file | copy)
                "$call" "$1" "$2" "$3" "$4" "$5" "$6"
                shift 6
                ;;
            link)
                "$call" link "$2" - - "$3" "$4"
                shift 4
                ;;
            *)
                "$call" "$1" "$2"
                shift 2
                ;;
        esac
    done
}

# A path that is there and that no manifest of this slot lists is someone else's. What an interrupted change was
# about to write is ours only if it was written.
check_item() {
    case $1 in
        file | copy | link)
            at "$2"
            [ -e "$at" ] || [ -L "$at" ] || return 0
            has "$old_paths" "$2" && return 0
            has "$pending_paths" "$2" && sum_of "$at" && has "$pending_sums" "$sum $2" && return 0
            fail 41 "$at"
            ;;
        unit)
            shown=$(sc show -p LoadState -p FragmentPath -- "$2" 2>/dev/null)
            fragment=${shown#*FragmentPath=}
            fragment=${fragment%%"$nl"*}
            case $shown in
                *LoadState=not-found*) [ "$base" = own ] || fail 44 "$2" ;;
                *) [ "$base" != own ] || [ -z "$fragment" ] || has "$new_paths$nl$old_paths_at$nl$pending_paths_at" "$fragment" || fail 42 "$2 is $fragment" ;;
            esac
            ;;
    esac
}

# The manifest of the definition, and its paths as they are on this machine.
list_item() {
    case $1 in
        file | copy)
            manifest=$manifest${nl}file\ $5\ $3\ $4\ $2
            at "$2"
            new_paths=$new_paths$nl$at
            ;;
        link)
            manifest=$manifest${nl}link\ $5\ -\ -\ $2
            at "$2"
            new_paths=$new_paths$nl$at
            ;;
        base)
            base=$2
            manifest=$manifest${nl}base\ $2
            ;;
        *)
            [ "$1" != unit ] || has_units=yes
            manifest=$manifest$nl$1\ $2
            ;;
    esac
}

# Writes a file beside the one that it will replace, unless that is the same already.
stage_item() {
    case $1 in
        file | copy | link) ;;
        *) return 0 ;;
    esac
    at "$2"
    path=$at temporary=${at%/*}/.${at##*/}.orch
    if [ ! -d "${path%/*}" ]; then
        (umask 022 && mkdir -p "${path%/*}") || unstage 43 "${path%/*}"
        made=$made${nl}dir\ ${2%/*}
    fi
    sum_of "$path"
    if [ "$1" = link ]; then
        [ "$sum" = "$5" ] && [ -L "$path" ] && return 0
        rm -f "$temporary" && ln -s "$6" "$temporary" || unstage 43 "$path"
    else
        if [ "$sum" = "$5" ] && [ ! -L "$path" ]; then
            # Only who may do what with it could differ, and that needs no other file.
            chmod "$3" "$path" && { [ "$4" = - ] || chown "$4" "$path"; } || unstage 47 "$path: $4"
            return 0
        fi
        rm -f "$temporary"
        if [ "$1" = copy ]; then
            at "$6"
            cp -- "$at" "$temporary" || unstage 43 "$path"
        else
            printf %s "$6" >"$temporary" || unstage 43 "$path"
        fi
        sum_of "$temporary"
        [ "$sum" = "$5" ] || unstage 43 "$path"
        [ "$4" = - ] || chown "$4" "$temporary" || unstage 47 "$path: $4"
        chmod "$3" "$temporary" || unstage 43 "$path"
    fi
    staged=$staged$nl$path
}

# Nothing was put in place yet: what was staged goes, and all is as it was.
unstage() {
    each remove_staged "$staged"
    rm -f "$temporary"
    [ -n "$interrupted" ] || rm -f "$slot/pending"
    [ -f "$slot/stamp.json" ] || [ -f "$slot/pending" ] || rm -rf "$slot"
    fail "$1" "$2"
}

remove_staged() {
    rm -f "${1%/*}/.${1##*/}.orch"
}

keep_staged() {
    keep "${1%/*}/.${1##*/}.orch"
}

put_in_place() {
    mv -fT "${1%/*}/.${1##*/}.orch" "$1" || fail 43 "$1"
}

# What it takes to go back: the files as they are, with the manifest and the stamp.
keep_previous() {
    rm -rf "$slot/previous.new"
    mkdir "$slot/previous.new" || fail 43 "$slot/previous"
    number=0
    each keep_file "$old_paths"
    cp -p "$slot/manifest" "$slot/stamp.json" "$slot/previous.new/" &&
        keep "$slot/previous.new/manifest" "$slot/previous.new/stamp.json" "$slot/previous.new" && rm -rf "$slot/previous" &&
        mv "$slot/previous.new" "$slot/previous" || {
        rm -rf "$slot/previous.new"
        fail 43 "$slot/previous"
    }
}

keep_file() {
    number=$((number + 1))
    at "$1"
    [ -e "$at" ] || [ -L "$at" ] || return 0
    # A file is replaced and never changed, so that a second name for it is as good as a copy.
    ln "$at" "$slot/previous.new/$number" 2>/dev/null ||
        { cp -pP "$at" "$slot/previous.new/$number" && keep "$slot/previous.new/$number"; } || {
        rm -rf "$slot/previous.new"
        fail 43 "$slot/previous"
    }
}

take_turn make

read_manifest "$slot/pending"
pending_paths=$m_paths pending_sums=$m_sums
interrupted=$m_op
read_manifest "$slot/manifest"
old_op=$m_op old_revision=$m_revision old_verb=$m_verb old_base=$m_base
old_paths=$m_paths old_dirs=$m_dirs old_start=$m_start old_enable=$m_enable

if [ -z "$interrupted" ] && [ "$old_op $old_verb" = "$op $verb" ]; then
    echo done
    exit 0
fi

if [ "$verb" = create ] && [ -f "$slot/stamp.json" ]; then
    # A slot of another service is not taken over by making a new one.
    address=${stamp#*\"address\":\"}
    address=${address%%\"*}
    old_address=$(cat "$slot/stamp.json")
    old_address=${old_address#*\"address\":\"}
    old_address=${old_address%%\"*}
    [ "$address" = "$old_address" ] || fail 54 "$old_address"
fi

base=own manifest= new_paths= has_units=
each_item list_item "$@"
old_paths_at= pending_paths_at=
add_old() { at "$1" && old_paths_at=$old_paths_at$nl$at; }
add_pending() { at "$1" && pending_paths_at=$pending_paths_at$nl$at; }
each add_old "$old_paths"
each add_pending "$pending_paths"
if [ "$manager" = user ] && [ -n "$has_units" ]; then
    user=$(id -un)
    [ -e "/var/lib/systemd/linger/$user" ] || loginctl enable-linger >/dev/null 2>&1 ||
        sudo -n loginctl enable-linger "$user" >/dev/null 2>&1 || fail 51 "$user"
    tries=100
    while [ ! -S "$XDG_RUNTIME_DIR/systemd/private" ] && [ ! -S "$XDG_RUNTIME_DIR/bus" ] && [ $tries -gt 0 ]; do
        tries=$((tries - 1))
        sleep 0.1
    done
    [ $tries -gt 0 ] || fail 50 "$user"
fi
each_item check_item "$@"

# With an interrupted change, what is in place may be half the one and half the other. What it replaced is kept already.
[ -n "$interrupted" ] || [ ! -f "$slot/stamp.json" ] || [ "$old_revision" = "$revision" ] || keep_previous
# Under the same definition there is nothing to go back to.
[ "$old_revision" != "$revision" ] || [ -n "$interrupted" ] || confirm=
disarm
carried=
carry_dir() { carried=$carried${nl}dir\ $1; }
each carry_dir "$old_dirs"
manifest="op $op $revision $verb$manifest$carried"
write pending "$manifest${nl}stamp $stamp"

staged= made= temporary=$slot/.none
each_item stage_item "$@"
manifest=$manifest$made
each keep_staged "$staged"
if [ -n "$confirm" ]; then
    printf '%s\n' "$back" >"$slot/.back.new" && keep "$slot/.back.new" && mv -f "$slot/.back.new" "$slot/back" ||
        unstage 43 "$slot/back"
    run=systemd-run
    [ "$manager" != user ] || run='systemd-run --user'
    $run --quiet --collect --unit="orch-back-$scope-$folder" /bin/sh "$slot/back" >/dev/null || unstage 48 "$slot"
fi

# An update does not make what runs: that keeps the attempt that made it, or that began to.
made_by=$interrupted
if [ -z "$made_by" ] || [ "$made_by" = "$op" ]; then
    made_by=$(cat "$slot/stamp.json" 2>/dev/null)
    made_by=${made_by#*\"op_id\":\"}
    made_by=${made_by%%\"*}
fi
if [ "$verb" = update ] && [ -n "$made_by" ]; then
    after=${stamp#*\"op_id\":\"}
    stamp=${stamp%%\"op_id\":\"*}\"op_id\":\"$made_by\"${after#*\"}
fi

# From here on it is carried through.
write manifest.next "$manifest"
read_manifest "$slot/manifest.next"
keeps=$m_start$m_units
[ "$old_base" != own ] || each stop_unit "$old_start"
keeps=$m_enable
[ "$old_base" != own ] || each disable_unit "$old_enable"
each put_in_place "$staged"
dropped=
each drop_file "$old_paths"
each drop_file "$pending_paths"
take_effect "$restart"
each keep_folder_of "$staged"
each keep_folder "$dropped"
[ -z "$m_units" ] || keep_enabled
mv -f "$slot/manifest.next" "$slot/manifest" || fail 43 "$slot/manifest"
write stamp.json "$stamp"
rm -f "$slot/pending" "$slot/stopped"
rm -rf "$slot/uploads"
keep "$slot"
[ -z "$said" ] || fail 46 "$said"
echo done
