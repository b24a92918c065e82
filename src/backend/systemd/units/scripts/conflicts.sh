manager=$1
shift
if [ "$manager" = user ]; then
    : "${XDG_RUNTIME_DIR:=/run/user/$(id -u)}"
    export XDG_RUNTIME_DIR
    sc() { systemctl --user "$@"; }
else
    sc() { systemctl "$@"; }
fi
while [ $# -gt 0 ]; do
    case $1 in
        path)
            case $2 in
                '~/'*) path=$HOME/${2#'~/'} ;;
                *) path=$2 ;;
            esac
            if [ -e "$path" ] || [ -L "$path" ]; then
                printf '%s\ta file that orch did not write\n' "$path"
            fi
            ;;
        unit)
            fragment=$(sc show -p FragmentPath --value -- "$2" 2>/dev/null)
            [ -z "$fragment" ] || printf '%s\t%s\n' "$2" "$fragment"
            ;;
    esac
    shift 2
done
