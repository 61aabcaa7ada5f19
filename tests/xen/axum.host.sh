#!/usr/bin/env bash
# On the host: the routes of the guest at 127.0.0.1:$1, and 16 clients at a time, each with one connection for all
# it asks.
set -euo pipefail
get() { curl --silent --show-error --fail --max-time 160 "$@"; }
at=http://127.0.0.1:$1
get "$at/" | grep 'Hello from axum'
get "$at/json/host" | grep '"hello":"host","visit":1'
[ "$(get "$at/download?bytes=1000000" | wc -c)" = 1000000 ]
[ "$(get "$at/primes?bytes=1000")" = 168 ]
file=$(mktemp)
trap 'rm -f "$file"' EXIT
head -c 300000 /dev/urandom >"$file"
[ "$(get --upload-file "$file" "$at/upload")" = "$(sha256sum <"$file" | cut -d ' ' -f 1)" ]
# A websocket by its bytes (RFC 6455): the key and its answer are the RFC's own, and a mask of zeroes leaves a text as
# it is.
exec {socket}<>"/dev/tcp/127.0.0.1/$1"
printf '%s\r\n' 'GET /ws HTTP/1.1' 'Host: guest' 'Connection: Upgrade' 'Upgrade: websocket' 'Sec-WebSocket-Version: 13' \
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' '' >&$socket
answer=
while IFS= read -r -t 40 -u $socket line && [ "$line" != $'\r' ]; do answer+=$line$'\n'; done
grep -q '^HTTP/1.1 101 ' <<<"$answer"
grep -qi '^sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=' <<<"$answer"
for text in hello again; do
    printf '\x81\x85\0\0\0\0%s' "$text" >&$socket
    [ "$(timeout 160 head -c 7 <&$socket)" = $'\x81\x05'"$text" ]
done
# We close, and so does the service.
printf '\x88\x80\0\0\0\0' >&$socket
timeout 160 cat <&$socket >/dev/null
exec {socket}>&-
clients=()
for i in $(seq 16); do
    (for j in $(seq 20); do echo "url = $at/json/$i-$j"; done | get --config - | grep -o '"hello"' | wc -l | grep -qx 20) &
    clients+=($!)
done
for client in "${clients[@]}"; do wait "$client"; done
get "$at/json/last" | grep '"visit":322'
