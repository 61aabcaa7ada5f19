#!/usr/bin/env bash
# On the host: a certificate of the guest's, as the file /tls/cert.pem of a ramdisk, with its key.
set -euo pipefail
images=$(cd "$IMAGES" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tls"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=service.test \
    -addext subjectAltName=DNS:service.test -keyout "$work/tls/key.pem" -out "$work/tls/cert.pem"
cp "$work/tls/cert.pem" "$images/https.pem"
(cd "$work" && find . | cpio --quiet -o -H newc) >"$images/https.cpio"
