# shellcheck shell=bash
# A MirageOS unikernel on our loop, network and disk, by the names that `mirage configure` writes (tests/mirage).

# mirage ADDRESSES [ARGUMENT...]: starts it, waits for its checks, and has it echo.
mirage_stack() {
    local address=$1
    shift
    truncate -s 1M "$work/disk"
    start mirage-stack --disk="51728:$work/disk" "$@"
    within 20 grep -q '^stack: [0-9]* checks passed' "$log" && client echo "$address" 7 1000000 3
    local status=$?
    [ $status = 0 ] || cat "$log"
    stop && return $status
}

mirage_static() {
    # What resets connections, for its last check.
    "$bin/client" reset 10.0.0.1 9999 &
    local server=$!
    mirage_stack $stack --ipv4=$stack/24 --ipv6=$stack6/64 --resets=10.0.0.1:9999
    local status=$?
    kill $server
    wait $server 2>/dev/null
    [ $status = 0 ] && grep 'ok and no more writing' "$log" && grep '^no lease' "$log" && grep "addresses: .*$stack6" "$log" &&
        [ "$(tail -c 1024 "$work/disk" | tr -d 'ab' | wc -c)" = 0 ]
}
# dhcp_server: one address, 10.0.0.60. Its process is $server.
dhcp_server() {
    needs dnsmasq || return
    dnsmasq --keep-in-foreground --port=0 --interface=tap0 --bind-interfaces --dhcp-authoritative --no-ping \
        --dhcp-range=10.0.0.60,10.0.0.60,2m --dhcp-leasefile="$work/leases" \
        --dhcp-option=6,10.0.0.53 --dhcp-option=42,10.0.0.42 --dhcp-option-force=224,private --user=root --group=root \
        --pid-file="$work/dnsmasq.pid" --conf-file=/dev/null >"$work/dnsmasq.log" 2>&1 &
    server=$!
}
# Nothing is said: an address from a server.
mirage_dhcp() {
    local server
    dhcp_server || return
    mirage_stack 10.0.0.60 && grep 'addresses: 10.0.0.60/24' "$log" && grep 'lease: dns 10.0.0.53, ntp 10.0.0.42' "$log"
    local status=$?
    kill $server
    return $status
}
# How often the client was told that the address is its own.
leased() { grep -c 'lease: 10.0.0.60/24' "$log"; }
leased_again() { [ "$(leased)" -gt "$1" ]; }
# The same in a program that listens to the device itself: it hears all but what is for the DHCP client, which has the
# address confirmed when the link comes back; and may send what comes from elsewhere.
mirage_bare() {
    local server before status=0
    dhcp_server || return
    start mirage-stack --bare
    within 20 grep '^bare: 10.0.0.60/24' "$log" || status=1
    echo >/dev/udp/10.0.0.60/68
    echo >/dev/udp/10.0.0.60/4000
    within 5 grep '^bare: a datagram to 4000' "$log" || status=1
    ! grep '^bare: a datagram to 68' "$log" || status=1
    within 5 grep '^bare: forwarded' "$log" || status=1
    before=$(leased)
    echo >/dev/udp/10.0.0.60/4001
    within 5 leased_again "$before" || { echo 'not confirmed' && status=1; }
    kill $server
    stop && return $status
}
mirage_ipv6() {
    mirage_stack $stack6 --ipv6-only=true --ipv6=$stack6/64 && ! grep 'addresses: .*10.0.0' "$log"
}

# The program ends itself from inside the loop.
mirage_exit() {
    truncate -s 1M "$work/disk"
    start mirage-stack --disk="51728:$work/disk" --ipv4=$stack/24 --leave
    local status=0
    ended || status=$?
    [ $status = 3 ] && grep '^a hook that sleeps' "$log"
}

alone mirage_static mirage_dhcp mirage_bare mirage_ipv6 mirage_exit
