#!/usr/bin/env bash
# On the host: the guest at 127.0.0.1:$1, by one client and by 16 at a time, each with one connection for all it asks.
set -euo pipefail
get() { curl --silent --show-error --fail --max-time 160 "$@"; }
at=http://127.0.0.1:$1
get "$at/one" | grep '^/one: visit 1, of client '
get "$at/one" "$at/one" | tail -n 1 | grep '^/one: visit 3, '
[ "$(curl --silent --max-time 160 --output /dev/null --write-out '%{http_code}' --request DELETE "$at/one")" = 400 ]
clients=()
for _ in $(seq 16); do
    (for _ in $(seq 20); do echo "url = $at/all"; done | get --config - | grep -c '^/all: visit' | grep -qx 20) &
    clients+=($!)
done
for client in "${clients[@]}"; do wait "$client"; done
get "$at/all" | grep '^/all: visit 321, '
# A line that does not end, and paths that are made up: they are not kept.
head -c 200000 /dev/zero | tr '\0' x 2>/dev/null >"/dev/tcp/127.0.0.1/$1" || true
for n in $(seq 270); do echo "url = $at/made-up-$n"; done | get --config - | grep -q '^/made-up-270: one of many'
get "$at/one" | grep '^/one: visit 4, '
