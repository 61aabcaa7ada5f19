# A MirageOS unikernel on our loop, network and disk, by the names that `mirage configure` writes (tests/mirage): fixed
# addresses, an address from a server, and IPv6 alone.
# images: mirage-stack
# programs: client
# limit: 150

brctl addbr xenbr5
ip addr add 10.5.0.1/24 dev xenbr5
echo 0 >/proc/sys/net/ipv6/conf/xenbr5/accept_dad
ip link set xenbr5 up
ip -6 addr add fd05::1/64 dev xenbr5
vif() { echo "vif=[\"mac=00:16:3e:00:05:$1,script=vif-rig,bridge=xenbr5\"]"; }
truncate -s 1M /tmp/mirage-disk
loop=$(losetup -f)
losetup "$loop" /tmp/mirage-disk || fail 'losetup'
disk="disk=[\"phy:$loop,xvdb,w\"]"
echoes() { /share/programs/client echo "$1" 7 100000 3 || fail "no echo from $1: $(console "$2")"; }
ends() {
    xl shutdown "$1"
    assert_shutdown "$1" poweroff
    destroy "$1"
}

create fixed mirage-stack memory=32 "$(vif 11)" "$disk" 'cmdline="--ipv4=10.5.0.2/24 --ipv6=fd05::2/64"'
wait_console fixed '^stack: [0-9]* checks passed'
note "$(console fixed | grep '^stack:')"
echoes 10.5.0.2 fixed
echoes fd05::2 fixed
[ "$(tail -c 1024 /tmp/mirage-disk | tr -d ab | wc -c)" = 0 ] || fail 'the disk has something else'
ends fixed

dnsmasq --port=0 --interface=xenbr5 --bind-interfaces --dhcp-authoritative --no-ping --dhcp-range=10.5.0.50,10.5.0.50,2m \
    --dhcp-leasefile=/tmp/leases5 --user=root --group=root --pid-file=/tmp/dnsmasq5.pid --conf-file=/dev/null
create dhcp mirage-stack memory=32 "$(vif 12)" "$disk"
wait_console dhcp '^stack: [0-9]* checks passed' 30
assert_console dhcp '^addresses: 10.5.0.50/24'
echoes 10.5.0.50 dhcp
kill "$(cat /tmp/dnsmasq5.pid)"
ends dhcp

create six mirage-stack memory=32 "$(vif 13)" "$disk" 'cmdline="--ipv6-only=true --ipv6=fd05::3/64"'
wait_console six '^stack: [0-9]* checks passed'
echoes fd05::3 six
ends six
