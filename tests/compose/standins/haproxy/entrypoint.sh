#!/bin/sh
# Master and worker in the foreground, as the official image starts it.
set -eu
if [ "${1:-}" = haproxy ]; then
    shift
    set -- haproxy -W -db "$@"
fi
exec "$@"
