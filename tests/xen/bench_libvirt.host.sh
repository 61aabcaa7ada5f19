#!/usr/bin/env bash
# libvirt's daemon and virsh for dom0, from Debian's packages (3 MB): $IMAGES/libvirt, with the libraries that dom0 does
# not have, and the description virt.xml, which is made as `make xen` does it.
set -euo pipefail

# shellcheck source=tests/rig/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../rig/lib.sh"
packages=(libvirt-daemon libvirt-daemon-driver-xen libvirt-daemon-common libvirt-clients libvirt-common libvirt0 libapparmor1 libssh-4)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

own_apt get update -qq
(cd "$work" && own_apt get download -qq "${packages[@]}")
for package in "$work"/*.deb; do dpkg -x "$package" "$work/tree"; done

libraries=$work/tree/usr/lib/x86_64-linux-gnu
to=$IMAGES/libvirt
mkdir -p "$to"/{bin,lib,drivers}
install "$work/tree/usr/sbin/libvirtd" "$work/tree/usr/bin/virsh" "$to/bin"
install "$libraries/libvirt/connection-driver/libvirt_driver_libxl.so" "$to/drivers"
# Xen's own are not found here, and are in dom0.
LD_LIBRARY_PATH=$libraries ldd "$to"/bin/* "$to"/drivers/* | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p' | sort -u | while read -r library; do
    case $library in */libc.so.6) ;; *) cp -L "$library" "$to/lib/" ;; esac
done
cp -r "$work/tree/usr/share/libvirt" "$to/share"
# None of libvirt's CPU models fits QEMU's emulated CPU as Xen shows it, without VME. The smallest one does without
# that.
sed -i "/'vme'/d" "$to/share/cpu_map/x86_486.xml"

cat >"$work/virt.cfg" <<CFG
name = "virt"
type = "pvh"
kernel = "/share/images/http.elf"
memory = 32
vcpus = 1
vif = ["mac=00:16:3e:00:16:02,script=vif-rig,bridge=xenbr16"]
cmdline = "--ipv4=10.1.16.2/24"
CFG
"$project/ffi/link/libvirt" "$work/virt.cfg" >"$to/virt.xml"
