# What the service and its scripts share: where the package is, and which port it has.
home=$(cd "$(dirname "$0")/.." && pwd)
. "$home/config/hello.conf"
address=${ADDRESS:-127.0.0.1}
port=${PORT:-$port}
