#!/usr/bin/env bash
# The initramfs of a Linux guest with fio: $IMAGES/fio.cpio, of what is in that of the other Linux guests and of the
# package fio, which `make setup` installs for the benchmarks alone.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
fio=$(command -v fio) || { echo "fio is not installed" && exit 1; }
image=$(mktemp -d)
trap 'rm -rf "$image"' EXIT

mkdir -p "$image"/{bin,dev,lib64,proc,sys,tmp}
(cd "$image" && cpio -idm --quiet bin/busybox lib/modules/xen-blkfront.ko <"$IMAGES/linux.cpio")
install "$fio" "$image/bin/fio"
ldd "$fio" | grep -o '/[^ ]*' | while read -r library; do cp -L "$library" "$image/lib/"; done
cp -L /lib64/ld-linux-x86-64.so.2 "$image/lib64/"
install "$project/tests/rig/dom0/linux-fio" "$image/init"
(cd "$image" && find . | cpio -o -H newc --quiet -R 0:0) >"$IMAGES/fio.cpio"
