#!/usr/bin/env bash
# On the host: every route of the guest at 127.0.0.1:$1.
set -euo pipefail
get() { curl --silent --show-error --fail --max-time 80 "$@"; }
at=http://127.0.0.1:$1
get "$at/" | grep 'Hello from cohttp'
get "$at/rust/host" | grep 'Hello host, this is Rust'
file=$(mktemp)
trap 'rm -f "$file"' EXIT
head -c 1000000 /dev/urandom >"$file"
[ "$(get --upload-file "$file" "$at/sha256")" = "$(sha256sum <"$file" | cut -d ' ' -f 1)" ]
head -c 1000 "$file" | get --upload-file - "$at/notes/xen" | grep 'Noted'
get "$at/notes/xen" | cmp - <(head -c 1000 "$file")
