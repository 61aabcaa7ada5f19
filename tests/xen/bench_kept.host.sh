#!/usr/bin/env bash
# The initramfs of a Linux guest with more servers, $IMAGES/peers.cpio: that of the other Linux guests, and what is to
# run there. nginx is one of the packages that `make setup` installs for the benchmarks alone; without it there are the
# others. Also tells the test what is wanted, in $IMAGES/wanted: the row, if only one is, the runs and the seconds.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
image=$(mktemp -d)
trap 'rm -rf "$image"' EXIT
printf 'row=%q runs=%q seconds=%q\n' "${ROW:-}" "${RUNS:-3}" "${SECONDS_EACH:-2}" >"$IMAGES/wanted"

# Programs, and the libraries that they need; a symbolic link in the other archive leads from /lib64 to /lib.
add() { # FILE
    install -D "$1" "$image/bin/${1##*/}"
    ldd "$1" | grep -o '/[^ ]*' | while read -r library; do
        cp -L "$library" "$image/lib/"
    done
}
mkdir -p "$image"/{bin,lib}
add "$project/build/unix/tokio-http"
add "$project/build/unix/axum-linux"
if nginx=$(PATH=$PATH:/usr/sbin command -v nginx); then
    add "$nginx"
    # One worker, and an answer as short as the others'.
    cat >"$image/nginx.conf" <<'END'
user root root;
worker_processes 1;
pid /tmp/nginx.pid;
error_log stderr;
events { worker_connections 256; }
http {
    access_log off;
    keepalive_requests 1000000000;
    server {
        listen 82;
        location / { default_type text/plain; return 200 "Hello from Linux\n"; }
    }
}
END
else
    echo 'nginx is not installed: there is nothing of it in the Linux guest'
fi
install "$project/tests/rig/dom0/linux-peers" "$image/linux-peers"
# Linux unpacks one archive after the other.
(cd "$image" && find . -mindepth 1 | cpio -o -H newc --quiet -R 0:0) | cat "$IMAGES/linux.cpio" - >"$IMAGES/peers.cpio"
