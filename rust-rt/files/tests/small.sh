#!/bin/sh
# Makes small.erofs beside this file: what src/lies.rs and src/tests.rs read. In another year, with another
# mkfs.erofs, its bytes may be others; what is in it is not.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/sub/deeper"
cd "$tmp"
printf 'Hello, files\n' >hello.txt
printf x >sub/x
ln -s ../hello.txt sub/up
ln -s /sub/deeper/long.bin abs
ln -s loop loop
head -c 1300 /dev/zero | tr '\0' L >sub/deeper/long.bin
: >empty
for i in $(seq 10 39); do printf %s "$i" >"sub/deeper/number-$i"; done
chmod 600 sub/x
touch -d '2001-02-03 04:05:06 UTC' hello.txt
mkfs.erofs --quiet -b512 --all-root -U 00000000-0000-4000-8000-000000000001 -T 1000000000 --mkfs-time \
    "$here/small.erofs" "$tmp"
