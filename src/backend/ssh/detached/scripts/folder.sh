# Makes the folder of a slot, for a file that is uploaded into it, and prints it. $1: the sha256 of the file.
take_turn make
for file in "$slot/upload.$1"; do
    sum_of "$file"
    [ "$sum" != "$1" ] || echo there
done
printf 'folder %s\n' "$slot"
