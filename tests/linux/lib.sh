# shellcheck shell=bash
# A network of its own for the scripts of this directory: they run in a fresh network namespace, with a
# TAP interface, on the other side of which is the stack.
#
#   Linux  10.0.0.1  fd00::1  -- tap0 --  stack  10.0.0.2  fd00::2 (and what fe80:: its address gives)
#
# shellcheck disable=SC2034 # the sourcing scripts use them

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
project=$(cd "$here/../.." && pwd -P)
bin=$project/build/unix
stack=10.0.0.2
stack6=fd00::2
mac=02:00:00:00:00:02
tap=tap0
addresses="--ipv4=$stack/24 --ipv6=$stack6/64 --ipv6-eui64"
megabytes=$((16 << 20))
work=
log=/dev/null

# Whether a network namespace can be had, made with $namespace; says why if not.
check_namespace() {
    local why
    namespace=(unshare --net)
    [ "$EUID" -eq 0 ] || namespace+=(--user --map-root-user)
    if ! why=$("${namespace[@]}" true 2>&1); then
        cannot "make a network namespace ($why)" \
            "as root, or with unprivileged user namespaces allowed, this works"
    fi
    [ -c /dev/net/tun ] || cannot "use TAP interfaces: there is no /dev/net/tun" \
        "as root: modprobe tun; in a container: --device /dev/net/tun"
}

# Runs the calling script again in a network namespace, as root there.
enter_namespace() {
    [ -z "${MIRUST_NETNS:-}" ] || return 0
    check_namespace
    MIRUST_NETNS=1 exec "${namespace[@]}" "$0" "$@"
}

# make_tap [NAME]: the interface, without address.
make_tap() {
    ip tuntap add dev "${1:-tap0}" mode tap
    # Duplicate address detection would only delay the tests.
    echo 0 >"/proc/sys/net/ipv6/conf/${1:-tap0}/accept_dad" 2>/dev/null || true
    ip link set "${1:-tap0}" up
}

# Has the kernel's senders in this namespace use the congestion control that ours do: its default may be another,
# with other bursts. By the routes of IPv4 that there are: a namespace's default, and a socket's algorithm, may without
# privileges only be one of net.ipv4.tcp_allowed_congestion_control, of which CUBIC need not be.
use_cubic() {
    local route
    while read -r route; do
        # shellcheck disable=SC2086 # words
        ip route change ${route%linkdown*} congctl cubic ||
            { echo "the kernel's senders use $(cat /proc/sys/net/ipv4/tcp_congestion_control), not CUBIC"; return 1; }
    done < <(ip -4 route show)
}

make_network() {
    ip link set lo up
    make_tap tap0
    ip addr add 10.0.0.1/24 dev tap0
    ip addr add fd00::1/64 dev tap0 nodad
    # It makes no difference to a test.
    use_cubic || true
}

# start NAME ARGUMENT...: a Unix build in the background, its output in $log
start() {
    local name=$1
    shift
    log=$work/$name.log
    # Emptied here, not only by the child: what an earlier one wrote must not pass for its words.
    : >"$log"
    "$bin/$name" --interface="$tap@$mac" "$@" >"$log" 2>&1 &
    running=$!
}

# The exit status of what was started, when it ends by itself.
ended() {
    local status=0
    wait "$running" || status=$?
    running=
    return $status
}

runs() { jobs -pr | grep -qx "$running"; }

# Asks it to end, as `xl shutdown` would, and kills what does not in time.
stop() {
    local status=0
    [ -n "${running:-}" ] || return 0
    kill "$running" 2>/dev/null
    within 5 eval '! runs' || kill -9 "$running"
    ended || status=$?
    [ $status -eq 0 ] || echo "it did not end in good order when asked to: status $status"
    return $status
}

# Memory of what was started, in KiB.
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$running/status"; }

# within SECONDS COMMAND...: runs the command until it succeeds. So long it may take where nothing else runs; what ends
# the wait is for what never comes, and a busy machine has far more time.
within() {
    local deadline=$((SECONDS + 6 * $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}

# Whether a server of this namespace waits for connections at a port of IPv4. Whoever connects to find out is a client,
# and iperf3 serves one at a time. The kernel's list has ports in hexadecimal; 0A is a socket that listens.
listens() { grep -q "$(printf ':%04X 00000000:0000 0A' "$1")" /proc/net/tcp; }

# Until the stack answers.
reachable() { within 10 ping -c 1 -W 1 "${1:-$stack}"; }
