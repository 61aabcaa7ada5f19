# A vif on a bridge with dom0: ping, transfers both ways, statistics; then the vif is unplugged and
# plugged in again, and everything works as before.
# images: net
# programs: client
# limit: 300

# A bridge of its own: on the rig's, QEMU's network answers for a guest whose interface is gone, and
# resets its connections.
brctl addbr netbr0 && ip addr add 10.9.0.1/24 dev netbr0 && ip link set netbr0 up || fail "no bridge"
ip=10.9.0.2

create net net memory=64 'vif=["mac=00:16:3e:00:00:20,script=vif-rig,bridge=netbr0"]' \
    "cmdline=\"--ipv4=$ip/24 --ipv6-eui64\""
wait_console net 'link up: 00:16:3e:00:00:20, MTU 1500' 10
wait_console net '^ready' 10

client() { timeout 400 /share/programs/client "$@"; }
get() { timeout "$((${2:-20} * patience))" /bin/curl -s -S "http://$ip/$1"; }

services() {
    within 10 /bin/ping -c 1 -W 1 $ip >/dev/null || fail "no answer to ping"
    /bin/ping -c 5 -i 0.2 $ip || fail "pings are lost"
    # Its neighbour solicitations are multicast, which netback was asked to filter.
    within 15 /bin/ping -6 -c 1 -W 1 -I netbr0 fe80::216:3eff:fe00:20 >/dev/null ||
        fail "no answer to an IPv6 ping"
    get '' | grep -q 'It works' || fail 'no page'
    size=$(get 1000000 40 | wc -c)
    assert_equal 1000000 "$size" 'bytes of a large page'
}

services
assert_equal 1 "$(xenstore-read "$(path net)/device/vif/0/request-multicast-control")" 'multicast filter'
start=$(now)
size=$(get 8000000 60 | wc -c)
assert_equal 8000000 "$size" 'bytes of a larger page'
echo "out: 8 MB in $(($(now) - start)) hundredths of a second"
get stats

head -c 8000000 /dev/urandom >/tmp/bytes
start=$(now)
timeout 240 nc -w 120 $ip 9 </tmp/bytes || fail 'discard'
echo "in: 8 MB in $(($(now) - start)) hundredths of a second"
get stats
client echo $ip 7 8000000 1 || fail 'the echo differs'
echo "echo: 8 MB"
get stats

xl network-detach net 0 || fail "network-detach"
wait_console net 'vif0: link down' 10
if /bin/ping -c 1 -W 1 $ip >/dev/null; then fail "answers without an interface"; fi
xl network-attach net mac=00:16:3e:00:00:20 script=vif-rig bridge=netbr0 || fail "network-attach"
services
get stats

# Unplugged in the middle of transfers, both ways: the connections are still there afterwards.
tx=$(passed net tx) rx=$(passed net rx)
get 30000000 90 | wc -c >/tmp/out &
out=$!
wait_passed net rx $((rx + 500000))
client echo $ip 7 64000000 1 &
echo=$!
wait_passed net tx $((tx + 500000))
kill -0 $out && kill -0 $echo || fail 'the transfers were over too soon'
xl network-detach net 0 || fail "network-detach"
sleep 1 # so long it is away
xl network-attach net mac=00:16:3e:00:00:20 script=vif-rig bridge=netbr0 || fail "network-attach"
wait $out || fail 'the transfer out ended with an error'
assert_equal 30000000 "$(cat /tmp/out)" 'bytes of a page during which the interface was unplugged'
wait $echo || fail 'the echo differs, or ended'
rm /tmp/bytes
get stats

xl shutdown net
assert_shutdown net poweroff
console net | tail -5

ip link set netbr0 down
brctl delbr netbr0
