#!/usr/bin/env bash
# The initramfs of the Linux guest, $IMAGES/net.cpio: that of the other Linux guests, and two servers for a second tool
# beside iperf3, whose sender starves there on a busy machine: one that discards (port 9), and one that sends without
# end (port 19). Also tells the test what is wanted, in $IMAGES/wanted: the runs and the seconds.
set -euo pipefail

image=$(mktemp -d)
trap 'rm -rf "$image"' EXIT
printf 'runs=%q seconds=%q\n' "${RUNS:-3}" "${SECONDS_EACH:-3}" >"$IMAGES/wanted"
cat >"$image/linux-net" <<'END'
#!/bin/sh
# They start when the network is up; the rest is /linux-guest's.
export PATH=/bin
# The shell wants it for whatever runs in the background; /linux-guest mounts the others over it.
mknod /dev/null c 1 3
(
    until ip addr show dev eth0 2>&1 | grep -q 'inet '; do sleep 0.2; done
    while :; do nc -l -p 9 -e dd of=/dev/null bs=65536; done &
    while :; do nc -l -p 19 -e dd if=/dev/zero bs=65536; done &
) &
exec /linux-guest
END
chmod 755 "$image/linux-net"
# Linux unpacks one archive after the other.
(cd "$image" && find . -mindepth 1 | cpio -o -H newc --quiet -R 0:0) | cat "$IMAGES/linux.cpio" - >"$IMAGES/net.cpio"
