# An address by DHCP on a real interface: it is renewed; a link that comes back has it confirmed, and connections live
# on; on another network there is another address.
# images: echo
# programs: client
# limit: 150

vif() { echo mac=00:16:3e:00:18:02 script=vif-rig bridge=xenbr18; }

# A bridge of its own, which is another network after `network 19`, with one address to lease there. dnsmasq's shortest
# lease has two minutes, but it may be told when to renew that: after the 30 s that are the client's least.
brctl addbr xenbr18
ip link set xenbr18 up
network() { # N
    ip addr flush dev xenbr18
    ip addr add "10.1.$1.1/24" dev xenbr18
    : >/tmp/dnsmasq.log
    dnsmasq --port=0 --interface=xenbr18 --bind-interfaces --dhcp-authoritative --no-ping --conf-file=/dev/null \
        --dhcp-range="10.1.$1.50,10.1.$1.50,2m" --dhcp-option=option:T1,30 --dhcp-leasefile="/tmp/leases-$1" \
        --log-facility=/tmp/dnsmasq.log --user=root --group=root --pid-file=/tmp/dnsmasq.pid
}
acknowledged() { grep -c "DHCPACK(xenbr18) 10.1.$1.50" /tmp/dnsmasq.log || true; } # N
acknowledged_again() { [ "$(acknowledged "$1")" -gt "$2" ]; } # N BEFORE
answers() { timeout 240 /share/programs/client echo "10.1.$1.50" 7 10000 1; } # N
downs() { console echo | grep -c 'link down' || true; }
down_again() { [ "$(downs)" -gt "$1" ]; } # BEFORE
detach() {
    local before
    before=$(downs)
    xl network-detach echo 0 || fail 'network-detach'
    within 20 down_again "$before" || fail 'the link does not go down'
}
attach() {
    # shellcheck disable=SC2046 # words
    xl network-attach echo $(vif) || fail 'network-attach'
}

network 18
create echo echo "vif=[\"$(vif | tr ' ' ,)\"]" 'cmdline="--dhcp --logs=info"'
wait_console echo 'echo on port 7 of 10.1.18.50/24'
answers 18 || fail 'no answer'
mkfifo /tmp/said-dhcp
nc 10.1.18.50 7 </tmp/said-dhcp >/tmp/kept &
kept=$!
exec 3>/tmp/said-dhcp

echo '-- renewal'
before=$(acknowledged 18)
within 60 acknowledged_again 18 "$before" || fail 'the lease is not renewed'
echo renewed >&3
within 20 grep -q renewed /tmp/kept || fail 'the connection did not survive a renewal'

echo '-- the link comes back'
before=$(acknowledged 18)
detach
attach
within 40 acknowledged_again 18 "$before" || fail 'nobody asks whether the address still holds'
echo returned >&3
within 40 grep -q returned /tmp/kept || fail 'the connection did not survive the link'
exec 3>&-
kill $kept 2>/dev/null || true

echo '-- the link leads to another network'
detach
kill "$(cat /tmp/dnsmasq.pid)"
network 19
attach
within 60 acknowledged_again 19 0 || fail 'no address is asked for there'
answers 19 || fail 'no answer at the new address'
assert_console echo 'the lease has ended'
ip addr add 10.1.18.1/24 dev xenbr18
if /bin/ping -c 1 -W 1 10.1.18.50; then fail 'the old address still answers'; fi

xl shutdown echo
assert_shutdown echo poweroff
kill "$(cat /tmp/dnsmasq.pid)"
cat /tmp/dnsmasq.log
destroy echo
ip link set xenbr18 down
brctl delbr xenbr18
