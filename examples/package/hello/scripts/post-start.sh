#!/bin/sh
. "$(dirname "$0")/../lib/settings.sh"
echo "hello was started on port $port"
