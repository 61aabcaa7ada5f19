# shellcheck shell=bash
# An address from a DHCP server.

dhcp() {
    needs dnsmasq || return
    dnsmasq --keep-in-foreground --port=0 --interface=tap0 --bind-interfaces --dhcp-authoritative --no-ping \
        --dhcp-range=10.0.0.50,10.0.0.50,2m --dhcp-leasefile="$work/leases" --user=root --group=root \
        --pid-file="$work/dnsmasq.pid" --conf-file=/dev/null --log-dhcp >"$work/dnsmasq.log" 2>&1 &
    local server=$!
    start echo --dhcp
    reachable 10.0.0.50 && client echo 10.0.0.50 7 100000 1
    local status=$?
    stop
    kill $server
    cat "$work/dnsmasq.log"
    return $status
}

alone dhcp
