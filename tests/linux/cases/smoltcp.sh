# shellcheck shell=bash
# smoltcp, on a TAP interface of its own, on a bridge with ours.

smoltcp() { timeout 60 "$bin/smoltcp-peer" tap3 "$@"; }
make_bridge() {
    ! ip link show br0 >/dev/null 2>&1 || return 0
    local name
    ip link add br0 type bridge && ip link set br0 up || return
    for name in tap2 tap3; do make_tap $name && ip link set $name master br0 || return; done
}
of_smoltcp() { # ADDRESS OURS
    make_bridge || return
    local tap=tap2 status
    start echo $addresses
    within 10 grep 'echo on port 7' "$log" && smoltcp "$1" echo "$2" 7 $megabytes
    status=$?
    stop && return $status
}
smoltcp_client() { of_smoltcp 10.0.0.3/24 $stack; }
smoltcp_client_v6() { of_smoltcp fd00::3/64 $stack6; }
smoltcp_server() {
    make_bridge || return
    local tap=tap2 server
    smoltcp 10.0.0.3/24 serve 7777 &
    server=$!
    start peer $addresses --connect=10.0.0.3 --port=7777 --bytes=$megabytes
    ended && grep intact "$log" && wait $server
}

alone smoltcp_client smoltcp_client_v6 smoltcp_server
