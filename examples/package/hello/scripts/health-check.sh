#!/bin/sh
# Exits 0 when the service answers.
. "$(dirname "$0")/../lib/settings.sh"
url=http://127.0.0.1:$port/health
if command -v curl >/dev/null; then
  exec curl --silent --show-error --fail --max-time 5 "$url"
fi
exec busybox wget -q -T 5 -O - "$url"
