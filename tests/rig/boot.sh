# shellcheck shell=bash
# Boots Xen and its dom0 in QEMU; sourced by the scripts that run guests.
#
# The two sides share one directory over 9p, $share:
#   job          what dom0 runs, with `rig/` beside it
#   console/     guest-NAME.log and hypervisor.log, written live by xenconsoled
#   status       the job's exit status, written last
# shellcheck disable=SC2034,SC2154 # shared with lib.sh and the sourcing scripts

share=
qemu=
deadline= # in terms of $SECONDS; none if empty

# Re-runs the calling script where QEMU is, unless it is there already.
enter_rig() {
    [ -n "${MIRUST_RIG:-}" ] || MIRUST_RIG=1 exec "$rig/env" --rig "$0" "$@"
}

# Makes $1 the shared directory, with this directory in it as `rig`.
make_share() {
    share=$1
    mkdir -p "$share/rig" "$share/console" "$share/images" && cp -r "$rig/." "$share/rig"
}

# Starts QEMU in the background.
#
# One CPU and 1 GiB suffice: dom0 takes 256 MiB, so guests can have about 600 MiB; `rig_memory`
# gives more. `rig_net` is 1 for the bridge, `rig_forward` lists forwards [PROTOCOL:]HOSTPORT:GUESTIP:PORT,
# `rig_shell` is 1 for a shell on the terminal, `rig_plain` is 1 for dom0's Linux alone, without Xen. SVM, which PVH
# guests need, is emulated; rdrand spares dom0 the wait for entropy. A crash of Xen or dom0 is a reboot, and with
# -no-reboot QEMU's end. What they print goes to $share/dom0.log.
start_dom0() {
    local parts forward session=(setsid) boot=()
    local net=user,id=net0,dhcpstart=10.0.2.20 serial="file:$share/dom0.log"
    local options="panic=1 quiet mitigations=off init_on_alloc=0 random.trust_cpu=on rootfstype=ramfs"
    parts=$("$rig/dom0/build")
    for forward in ${rig_forward:-}; do
        case $forward in tcp:* | udp:*) ;; *) forward=tcp:$forward ;; esac
        net+=,hostfwd=${forward%%:*}:127.0.0.1:
        forward=${forward#*:}
        net+=${forward%%:*}-${forward#*:}
    done
    [ "${rig_net:-0}" = 0 ] || options+=" rig.net"
    if [ "${rig_shell:-0}" = 1 ]; then
        options+=" rig.shell"
        serial=stdio
        session=()
    fi
    if [ "${rig_plain:-0}" = 1 ]; then
        boot=(-kernel "$parts/vmlinux" -initrd "$parts/dom0.cpio" -append "console=ttyS0 rig.plain $options")
    else
        boot=(-kernel "$parts/xen"
            -append "com1=115200,8n1 console=com1 bootscrub=0 dom0_mem=256M,max:256M loglvl=info guest_loglvl=all"
            -initrd "$parts/vmlinux console=hvc0 $options,$parts/dom0.cpio")
    fi
    : >"$share/dom0.log"
    # In a session of its own QEMU does not get the terminal's Ctrl-C, which is for the script.
    "${session[@]}" qemu-system-x86_64 -accel tcg,thread=multi -smp 1 -cpu qemu64,+svm,+npt,+rdrand \
        -m "${rig_memory:-1024}" -display none -nodefaults -no-reboot -monitor none \
        -serial "$serial" \
        -fsdev "local,id=share,path=${share//,/,,},security_model=none" \
        -device virtio-9p-pci,fsdev=share,mount_tag=share \
        -netdev "$net" -device virtio-net-pci,netdev=net0,romfile= \
        "${boot[@]}" <&0 2>"$share/qemu.log" &
    qemu=$!
}

# Stops QEMU if it still runs.
stop_dom0() {
    [ -z "$qemu" ] || { kill "$qemu" && wait "$qemu"; } 2>/dev/null || true
    qemu=
}

job_runs() {
    [ ! -e "$share/status" ] && kill -0 "$qemu" 2>/dev/null && [ "$SECONDS" -lt "${deadline:-$((SECONDS + 1))}" ]
}

# Waits for dom0, which takes about 10 s; a machine that is busy with much else may be 20 times slower.
wait_for_dom0() {
    local limit=$((SECONDS + 200))
    until grep -q 'rig: dom0 is up' "$share/dom0.log" 2>/dev/null || ! job_runs || [ "$SECONDS" -ge "$limit" ]; do
        sleep 0.2 || true
    done
    if job_runs && [ "$SECONDS" -ge "$limit" ]; then
        warn "dom0 did not come up in 200 s"
        stop_dom0
    fi
}

# Prints a file as it grows, until the job ends. A command is run now and then meanwhile. Ctrl-C, which a script can
# have a trap for, ends the programs called here but not this. Another command is run when what is printed goes nowhere:
# who has read it is gone (SIGPIPE), or nothing could be written ten times in a row, as on a full disk. Once is not
# enough: a terminal or pipe that another program has made non-blocking may only have no room at the moment.
follow() { # FILE [COMMAND [COMMAND]]
    local failures=0 position=0 before status
    until [ -e "$1" ]; do
        job_runs || return 0
        sleep 0.1 || true
    done
    exec 7<"$1"
    while job_runs; do
        before=$position status=0
        cat <&7 || status=$?
        read -r _ position <"/proc/$BASHPID/fdinfo/7"
        case $status in
            0) [ "$position" = "$before" ] || failures=0 ;;
            129 | 130 | 143) ;;
            141) ${3:-} ;;
            *)
                failures=$((failures + 1))
                [ "$failures" -lt 10 ] || ${3:-}
                ;;
        esac
        ${2:-}
        sleep 0.1 || true
    done
    cat <&7 || true
    exec 7<&-
}

# After the job: its status, or why there is none.
job_status() {
    if [ -r "$share/status" ]; then
        cat "$share/status"
    else
        warn "dom0 ended before its job did; the last it printed:"
        cat "$share/qemu.log" >&2
        tail -n 15 "$share/dom0.log" >&2
        echo 125
    fi
}
