#!/usr/bin/env bash
# On the host: every page of the guest at 127.0.0.1:$1.
set -euo pipefail
get() { curl --silent --show-error --fail --max-time 80 "$@"; }
at=http://127.0.0.1:$1
get "$at/" | grep 'Hello from Rust'
get "$at/ocaml/host" | grep 'Hello host, this is OCaml'
# The beginning of a long answer: who has enough goes, and the server goes on.
[ "$( (get "$at/big" 2>/dev/null || true) | head -c 1000000 | wc -c)" = 1000000 ]
file=$(mktemp)
trap 'rm -f "$file"' EXIT
head -c 1000000 /dev/urandom >"$file"
[ "$(get --upload-file "$file" "$at/upload")" = "$(sha256sum <"$file" | cut -d ' ' -f 1)" ]
# Sixteen connections at once.
many=()
for _ in {1..16}; do many+=(-o /dev/null "$at/"); done
get --parallel --parallel-immediate --parallel-max 16 "${many[@]}"
get "$at/metrics" | grep '^http_requests_total 21'
