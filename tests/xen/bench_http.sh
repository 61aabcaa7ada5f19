# HTTP on Xen: our guest beside a Linux guest with busybox's httpd in the same run, from dom0.
# images: http
# linux: yes
# limit: 900

runs=3 seconds=3
brctl addbr xenbr2
ip addr add 10.2.0.1/24 dev xenbr2
ip link set xenbr2 up
vif() { echo "vif=[\"mac=00:16:3e:00:00:$1,script=vif-rig,bridge=xenbr2\"]"; }
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
ratio() { awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }
answers() { /bin/curl --silent --fail --max-time 1 --output /dev/null "http://$1/"; }

# From unpausing a guest to its first answer, in hundredths of a second.
first_reply() { # NAME IMAGE ADDRESS [KEY=VALUE...]
    name=$1 image=$2 address=$3
    shift 3
    create_under -pe "$name" "$image" "$@"
    start=$(now)
    xl unpause "$name"
    within 300 answers "$address" || fail "$name does not answer at $address"
    took=$(($(now) - start))
}
for run in $(seq $runs); do
    first_reply ours http 10.2.0.2 memory=32 "$(vif 31)" 'cmdline="--ipv4=10.2.0.2/24 -l error"'
    echo "$took" >>/tmp/ours-boot
    [ "$run" = $runs ] || { destroy ours && wait_gone ours; }
done
first_reply linux linux 10.2.0.3 memory=256 'ramdisk="/share/images/linux.cpio"' "$(vif 32)" \
    'cmdline="console=hvc0 quiet mitigations=off random.trust_cpu=on rootfstype=ramfs rdinit=/linux-guest rig.address=10.2.0.3/24"'
size() { cat "$@" | wc -c; }
note "unpaused to the first answer: $(median /tmp/ours-boot | sed 's/..$/.&/') s, a Linux guest" \
    "$(echo "$took" | sed 's/..$/.&/') s;" \
    "what it boots: $(size $images/http.elf) bytes, the Linux guest's $(size $images/linux.elf $images/linux.cpio)"
sleep 3

# Requests per second. busybox's httpd closes after each, so what is compared does the same.
# The port is named in digits, since dom0 has no /etc/services.
requests() { # ADDRESS CONNECTIONS [HEADER]
    /bin/wrk -t 1 -c "$2" -d "$seconds" ${3:+-H "$3"} "http://$1:80/" >/tmp/wrk 2>&1 ||
        fail "wrk at $1: $(cat /tmp/wrk)"
    awk '/^Requests\/sec/ { print int($2) }' /tmp/wrk | grep . || fail "wrk at $1: $(cat /tmp/wrk)"
}
for _ in $(seq $runs); do
    for connections in 1 16; do
        requests 10.2.0.3 $connections 'Connection: close' >>/tmp/linux-$connections
        requests 10.2.0.2 $connections 'Connection: close' >>/tmp/ours-$connections
        requests 10.2.0.2 $connections >>/tmp/kept-$connections
    done
done
for connections in 1 16; do
    ours=$(median /tmp/ours-$connections) linux=$(median /tmp/linux-$connections)
    note "$connections at a time, a connection for each request: $ours requests/s, busybox httpd on Linux $linux," \
        "ratio $(ratio "$ours" "$linux"); kept connections: $(median /tmp/kept-$connections) requests/s"
done
