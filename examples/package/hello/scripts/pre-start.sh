#!/bin/sh
# Says what the host lacks, so that a service that could not run is not started.
command -v python3 >/dev/null || command -v busybox >/dev/null || {
  echo "hello needs python3 or busybox on this host" >&2
  exit 1
}
