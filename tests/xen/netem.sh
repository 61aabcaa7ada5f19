# The stack over links that the kernel makes bad, in dom0: as a Linux process on a TAP interface, since few machines'
# own kernels have netem at hand (tests/linux/run uses that where there is one). What comes back is compared.
# programs: peer client
# limit: 240

ip=10.1.0.2
/bin/ip tuntap add dev tap0 mode tap
ip addr add 10.1.0.1/24 dev tap0
ip link set tap0 up
/share/programs/peer --interface=tap0@02:00:00:00:00:02 --ipv4=$ip/24 >/tmp/peer 2>&1 &
peer=$!
within 20 eval '/bin/ping -c 1 -W 1 $ip >/dev/null 2>&1' || fail 'no answer to ping'

# Half of a link: the way to our stack. What comes back is the other half of the echo, and its acknowledgements.
bad() { # BYTES NETEM...
    bytes=$1
    shift
    /bin/tc qdisc replace dev tap0 root netem "$@" || fail "no netem $*"
    timeout 240 /share/programs/client echo $ip 7 "$bytes" 1 || fail "echo over a link with $*"
}
bad 1000000 loss 1%
bad 300000 loss 5% delay 20ms
bad 300000 delay 20ms reorder 25% 50%
bad 300000 duplicate 10%
bad 200000 loss 1% delay 10ms 5ms duplicate 1% corrupt 1%
kill $peer
ip link set tap0 down
/bin/ip link del tap0
