#!/bin/sh
# The job of `xen-run`: one guest, until it dies. /share/arguments has xl.cfg settings, one a
# line, that override those of /share/guest.cfg. Leaves the guest's shutdown code in /share/code.
# /share/services lists what the guest serves, `tcp|udp IP PORT` a line; /share/up appears when all
# of it can be reached. When the host makes /share/end, the guest is asked to shut down.
# shellcheck source=tests/rig/dom0/guest.sh
. /share/rig/dom0/guest.sh

# Disks are files of /share/disks; xl is given loop devices, for which it needs no script.
for disk in /share/disks/*; do
    [ -e "$disk" ] || continue
    loop=$(losetup -f)
    losetup "$loop" "$disk" || fail "cannot make a device of $disk"
    sed -i "s|$disk\([,']\)|$loop\1|" /share/arguments
done
set --
while read -r setting; do set -- "$@" "$setting"; done </share/arguments
xl create -e /share/guest.cfg "$@" >/tmp/create 2>&1 || fail "xl create: $(cat /tmp/create)"
name=$(xl list | awk 'NR > 1 && $2 > 0 { print $1; exit }')

# A UDP service need not answer what it does not know; its host does.
serves() { # PROTOCOL IP PORT
    if [ "$1" = tcp ]; then nc -w 1 "$2" "$3" -e true; else ping -c 1 -W 1 "$2"; fi >/dev/null 2>&1
}
all_serve() {
    while read -r protocol ip port; do serves "$protocol" "$ip" "$port" || return 1; done </share/services
}

# The pauses are long enough for a machine whose one CPU the guest uses as well.
(
    until [ -e /share/end ]; do
        [ -e /share/up ] || { all_serve && : >/share/up; }
        sleep 0.3
    done
    xl shutdown "$name"
) &

# Every death changes @releaseDomain. The watch also fires once when it is set, so a death
# between the guest's creation and the watch is not missed.
mkfifo /tmp/deaths
xenstore-watch @releaseDomain >/tmp/deaths &
while read -r _; do
    has_died "$name" && break
done </tmp/deaths
# What the guest wrote to disks reaches the host before it ends dom0.
[ ! -d /share/disks ] || sync
shutdown_code "$name" >/share/code
