#!/usr/bin/env bash
# On the host: an image of files as mkfs.erofs makes it, of the documentation and of a file that is not small; and what
# cksum says of them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
images=$(cd "$here/../../build/xen-test/images" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$here/../../docs" "$work/docs"
seq 400000 >"$work/numbers"
ln -s ../numbers "$work/docs/link"
mkfs.erofs --quiet "$images/files.erofs" "$work" >/dev/null
cd "$work"
find . -follow -type f | sed 's|^\./||' | while read -r path; do echo "file $(cksum <"$path") $path"; done |
    sort >"$images/files.list"
