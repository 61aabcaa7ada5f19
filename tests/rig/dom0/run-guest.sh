#!/bin/sh
# The job of `xen-run`: one guest, until it dies. /share/arguments has xl.cfg settings, one a
# line, that override those of /share/guest.cfg. Leaves the guest's shutdown code in /share/code.
# shellcheck source=tests/rig/dom0/guest.sh
. /share/rig/dom0/guest.sh

set --
while read -r setting; do set -- "$@" "$setting"; done </share/arguments
xl create -e /share/guest.cfg "$@" >/tmp/create 2>&1 || fail "xl create: $(cat /tmp/create)"
name=$(xl list | awk 'NR > 1 && $2 > 0 { print $1; exit }')

# Every death changes @releaseDomain. The watch also fires once when it is set, so a death
# between the guest's creation and the watch is not missed.
mkfifo /tmp/deaths
xenstore-watch @releaseDomain >/tmp/deaths &
while read -r _; do
    has_died "$name" && break
done </tmp/deaths
shutdown_code "$name" >/share/code
