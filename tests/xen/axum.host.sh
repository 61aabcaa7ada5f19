#!/usr/bin/env bash
# On the host: the routes of the guest at 127.0.0.1:$1, and 16 clients at a time, each with one connection for all
# it asks.
set -euo pipefail
get() { curl --silent --show-error --fail --max-time 40 "$@"; }
at=http://127.0.0.1:$1
get "$at/" | grep 'Hello from axum'
get "$at/json/host" | grep '"hello":"host","visit":1'
[ "$(get "$at/download?bytes=1000000" | wc -c)" = 1000000 ]
[ "$(get "$at/primes?bytes=1000")" = 168 ]
file=$(mktemp)
trap 'rm -f "$file"' EXIT
head -c 300000 /dev/urandom >"$file"
[ "$(get --upload-file "$file" "$at/upload")" = "$(sha256sum <"$file" | cut -d ' ' -f 1)" ]
clients=()
for i in $(seq 16); do
    (for j in $(seq 20); do echo "url = $at/json/$i-$j"; done | get --config - | grep -o '"hello"' | wc -l | grep -qx 20) &
    clients+=($!)
done
for client in "${clients[@]}"; do wait "$client"; done
get "$at/json/last" | grep '"visit":322'
