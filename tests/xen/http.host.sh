#!/usr/bin/env bash
# On the host: every page of the guest at 127.0.0.1:$1.
set -euo pipefail
get() { curl --silent --show-error --fail --max-time 60 "$@"; }
at=http://127.0.0.1:$1
get "$at/" | grep 'Hello from Rust'
get "$at/ocaml/host" | grep 'Hello host, this is OCaml'
[ "$(get --output /dev/null --write-out '%{size_download}' "$at/big")" = 100000000 ]
file=$(mktemp)
trap 'rm -f "$file"' EXIT
head -c 10000000 /dev/urandom >"$file"
[ "$(get --upload-file "$file" "$at/upload")" = "$(sha256sum <"$file" | cut -d ' ' -f 1)" ]
get "$at/metrics" | grep '^http_requests_total 5'
