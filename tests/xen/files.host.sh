#!/usr/bin/env bash
# On the host: an image of files as mkfs.erofs makes it, of the documentation and of a file that is not small; and what
# cksum says of them.
set -euo pipefail
export LC_ALL=C # dom0 sorts like this
images=$(cd "$IMAGES" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/docs"
cp "$here"/../../docs/[a-s]*.md "$work/docs"
seq 60000 >"$work/numbers"
ln -s ../numbers "$work/docs/link"
mkfs.erofs --quiet "$images/files.erofs" "$work" >/dev/null
fsck.erofs "$images/files.erofs" >/dev/null
cd "$work"
find . -follow -type f | sed 's|^\./||' | while read -r path; do echo "file $(cksum <"$path") $path"; done |
    sort >"$images/files.list"
