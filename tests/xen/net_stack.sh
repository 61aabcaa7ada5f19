# The TCP/IP stack on a real interface, with real clients in dom0 and on the host: reachability, transfers that are
# checked, many connections, iperf3, a bad link, a cable that is pulled in the middle of a transfer.
# images: peer web
# programs: client
# forward: 10.0.2.22:80
# limit: 300

client() { timeout 400 /share/programs/client "$@"; }
vif() { echo "vif=[\"mac=00:16:3e:00:00:$1,script=vif-rig,bridge=${2:-xenbr0}\"]"; }
megabytes=$((16 << 20))
ip=10.1.0.2 ip6=fd00::2 mac=00:16:3e:00:00:21

# A bridge without QEMU's network, which answers in the place of guests that are not there.
brctl addbr xenbr1
echo 0 >/proc/sys/net/ipv6/conf/xenbr1/accept_dad
ip addr add 10.1.0.1/24 dev xenbr1
ip -6 addr add fd00::1/64 dev xenbr1
ip link set xenbr1 up

create peer peer memory=64 "$(vif 21 xenbr1)" "cmdline=\"--ipv4=$ip/24 --ipv6=$ip6/64\""
wait_console peer '^ready' 20

echo '-- ping, ARP, neighbour discovery'
/bin/ping -c 4 -i 0.2 $ip || fail 'pings are lost'
/bin/ping -c 2 -i 0.2 -s 8000 $ip || fail 'fragmented pings are lost'
/bin/ping -6 -c 4 -i 0.2 $ip6 || fail 'pings over IPv6 are lost'
ip neigh show dev xenbr1 | grep -q "$ip lladdr $mac" || fail 'not in the ARP table'
ip -6 neigh show dev xenbr1 | grep -q "$ip6 lladdr $mac" || fail 'not in the neighbour table'

echo '-- the stack as server'
client echo $ip 7 $megabytes 1 || fail 'echo of 16 MiB'
client echo $ip6 7 1000000 1 || fail 'echo over IPv6'
client echo $ip 7 2000 200 || fail '200 connections'
nc $ip 17

echo '-- iperf3'
for way in '' -R; do
    # shellcheck disable=SC2086
    timeout 120 /bin/iperf3 -c $ip -t 3 $way >/tmp/iperf3 2>&1 || fail "iperf3 $way: $(cat /tmp/iperf3)"
    cat /tmp/iperf3
    note "iperf3 ${way:-(in)}: $(awk '/receiver/ { print $7, $8 }' /tmp/iperf3)"
done
nc $ip 17

echo '-- the cable is pulled for two seconds'
before=$(passed peer tx)
client echo $ip 7 $megabytes 1 >/tmp/interrupted 2>&1 &
transfer=$!
wait_passed peer tx $((before + 500000))
xl network-detach peer 0 || fail 'network-detach'
wait_console peer 'link down' 10
kill -0 $transfer || fail "the transfer ended too early: $(cat /tmp/interrupted)"
sleep 2 # so long it is away
xl network-attach peer mac=$mac script=vif-rig bridge=xenbr1 || fail 'network-attach'
wait $transfer || fail "the transfer did not survive: $(cat /tmp/interrupted)"
cat /tmp/interrupted

echo '-- a bad link'
interface=vif$(domid peer).0
/bin/tc qdisc add dev "$interface" root netem loss 1% delay 5ms || fail 'no netem'
client echo $ip 7 1000000 1 || fail 'echo over a bad link'
destroy peer

echo '-- the stack as client'
client serve 10.1.0.1 7777 &
create peer peer memory=64 "$(vif 21 xenbr1)" \
    "cmdline=\"--ipv4=$ip/24 --connect=10.1.0.1 --port=7777 --bytes=$megabytes\""
assert_shutdown peer poweroff 60
assert_console peer "$megabytes bytes .* came back intact"
destroy peer

echo '-- a web page, here and on the host'
create web web "$(vif 22)" 'cmdline="--ipv4=10.0.2.22/24 --ipv4-gateway=10.0.2.2"'
wait_console web 'http on port 80' 20
/bin/curl -sS -m 40 http://10.0.2.22/ | grep -q 'It works' || fail 'no page'
host_step net_stack
destroy web
ip link set xenbr1 down
brctl delbr xenbr1
