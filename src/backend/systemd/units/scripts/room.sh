# Makes room for a file to upload, and says where, unless it is there. $1: its sha256. $2: where it will be.
at "$2"
sum_of "$at"
[ "$sum" != "$1" ] || [ -L "$at" ] || {
    echo there
    exit 0
}
take_turn make
mkdir -p "$slot/uploads" || fail 43 "$slot/uploads"
sum_of "$slot/uploads/$1"
if [ "$sum" = "$1" ]; then
    echo there
else
    printf 'to %s\n' "$slot/uploads/$1"
fi
