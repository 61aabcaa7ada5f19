# shellcheck shell=bash
# Bad links: by a cable in our own process, and by the kernel where it has the netem queue, which is on
# Linux's outgoing side only.

bad() { # ARGUMENT...
    start peer $addresses "$@"
    within 20 ping -c 1 -W 1 $stack && client echo $stack 7 "${bytes:-1000000}" 1
    local status=$?
    stop
    return $status
}
bad_loss() { bad --drop=0.02; }
bad_duplicates() { bad --duplicate=0.05; }
bad_order() { bad --reorder=0.05; }
bad_delay() { bad --delay=20; }
bad_everything() { bytes=300000 bad --drop=0.02 --duplicate=0.02 --reorder=0.02 --corrupt=0.02 --delay=5; }

netem() { # ARGUMENT...
    tc qdisc add dev tap0 root netem "$@" || skip "this kernel has no netem (sch_netem)" || return
    start peer $addresses
    within 20 ping -c 1 -W 1 $stack && client echo $stack 7 1000000 1
    local status=$?
    stop
    tc qdisc del dev tap0 root
    return $status
}
netem_loss() { netem loss 1%; }
netem_delay() { netem delay 20ms; }
netem_order() { netem delay 5ms reorder 75%; }
netem_duplicates() { netem duplicate 5%; }

alone bad_loss bad_duplicates bad_order bad_delay bad_everything
alone netem_loss netem_delay netem_order netem_duplicates

# Without the capability that it takes: the command that gives it, and no backtrace.
interface_not_permitted() {
    local status=0
    setpriv --bounding-set=-all --inh-caps=-all "$bin/echo" --interface=tap9 >"$work/said" 2>&1 || status=$?
    cat "$work/said"
    [ $status -eq 1 ] && ! grep -i backtrace "$work/said" &&
        grep "as root: ip tuntap add dev tap9 mode tap user $(id -u)" "$work/said"
}

alone interface_not_permitted
