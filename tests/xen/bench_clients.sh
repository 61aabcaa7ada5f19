# Real clients, and what they go through: iperf3, an upload and a download, requests on a kept connection, a redis client,
# DNS queries. Their guests are saved and restored; then all has to have arrived. bench_clients_moved and
# bench_clients_copied do the rest with the same clients: each takes some minutes, and many on a busy machine.
# images: peer http kv dns
# limit: 900

net=10.1.7 saved=/share/saved
brctl addbr xenbr7
ip addr add $net.1/24 dev xenbr7
ip link set xenbr7 up
vif() { echo "vif=[\"mac=00:16:3e:00:07:$1,script=vif-rig,bridge=xenbr7\"]"; }

# {1 What happens to a guest}

# Mapped guest pages cannot be written to the share directly, and dom0's memory has no room for them.
pipe() {
    rm -f /tmp/fifo
    mkfifo /tmp/fifo
}
try() { "$@" >/tmp/xl 2>&1 || fail "$*: $(tail -n 3 /tmp/xl)"; }
saved_and_restored() { # NAME
    pipe
    cat /tmp/fifo >$saved &
    saving=$!
    try xl save "$1" /tmp/fifo
    wait $saving
    pipe
    cat $saved >/tmp/fifo &
    try xl restore -e /tmp/fifo
    rm $saved
}
copied() { # NAME
    pipe
    cat /tmp/fifo >/dev/null &
    try xl save -c "$1" /tmp/fifo
}
moved() { try xl migrate -s '' "$1" 'xl migrate-receive'; }
# All of them together. Not for longer: a paused guest's clock goes on, and http closes what has made no progress for 30 s.
paused() { # NAME
    xl pause "$1"
    [ "$1" = "$last" ] || return 0
    sleep 20
    for guest in $guests; do xl unpause "$guest"; done
}

# {1 The clients}

create peer peer vcpus=1 "$(vif 04)" "cmdline=\"--ipv4=$net.4/24\""
create web http vcpus=1 "$(vif 02)" "cmdline=\"--ipv4=$net.2/24 -l error\""
create store kv vcpus=1 "$(vif 05)" "cmdline=\"--ipv4=$net.5/24\""
create names dns vcpus=1 "$(vif 06)" "cmdline=\"--ipv4=$net.6/24\""
guests='peer web store names' last=names
wait_console peer '^ready' 20
wait_console store 'kv on port 6379' 20
wait_console names 'dns on port 53' 20
head -c 4000000 /dev/urandom >/tmp/upload
printf '%s\n' 'example.org A' 'www.example.org A' 'nobody.example.org A' >/tmp/queries

# redis-cli gives its server up after half a minute without an answer to a keep-alive probe, and has no option for
# that: it talks to a pipe in dom0, which holds on.
relay() { # PORT ADDRESS ADDRESS-PORT
    rm -f /tmp/back
    mkfifo /tmp/back
    nc -l -p "$1" </tmp/back | nc "$2" "$3" >/tmp/back &
}
ask_store() {
    while [ ! -e /tmp/enough ]; do
        echo 'incr counter'
        sleep 0.2
    done | /bin/redis-cli -h 127.0.0.1 -p 7379 >/tmp/answers 2>&1
}
# One connection, on which the server has to answer all requests in order.
ask_web() {
    asked=0
    {
        while [ ! -e /tmp/enough ]; do
            printf 'GET / HTTP/1.1\r\nHost: web\r\n\r\n'
            asked=$((asked + 1))
            sleep 0.3
        done
        printf 'GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n'
        echo $((asked + 1)) >/tmp/asked
        # Else nc ends its direction, and a server may take that for the end.
        sleep 5
    } | nc $net.2 80 >/tmp/kept
}

through() { # WHAT: `$1 NAME` for each of the four, with clients at all of them
    echo "-- $1"
    rm -f /tmp/enough
    timeout 850 /bin/iperf3 -c $net.4 -n 8M -b 2M -f m >/tmp/iperf 2>&1 &
    iperf=$!
    timeout 850 /bin/curl --silent --fail --limit-rate 100k --upload-file /tmp/upload "http://$net.2/upload" >/tmp/hash &
    upload=$!
    timeout 850 /bin/curl --silent --fail --limit-rate 1500k "http://$net.2/big" | sha256sum >/tmp/big &
    download=$!
    /bin/dnsperf -s $net.6 -d /tmp/queries -c 2 -Q 30 -l 100 >/tmp/dnsperf 2>&1 &
    queries=$!
    relay 7379 $net.5 6379
    sleep 0.5
    ask_store &
    redis=$!
    ask_web &
    web=$!
    sleep 2
    for name in $guests; do "$1" "$name"; done
    sleep 2
    touch /tmp/enough
    wait $redis || fail "redis-cli: $(tail -n 3 /tmp/answers)"
    # Each command was answered once and took effect once.
    awk -v first="$(head -n 1 /tmp/answers)" '$1 != first + NR - 1 { exit 1 }' /tmp/answers ||
        fail "answers of redis: $(tail -n 5 /tmp/answers)"
    wait $web || fail "requests on a kept connection: $(tail -n 3 /tmp/kept)"
    assert_equal "$(cat /tmp/asked)" "$(grep -c '^HTTP/1.1 200' /tmp/kept)" "answers on a kept connection"
    wait $iperf || fail "iperf3: $(tail -n 3 /tmp/iperf)"
    wait $upload || fail 'the upload ended'
    grep -q "$(sha256sum </tmp/upload | cut -d' ' -f1)" /tmp/hash || fail "the upload differs: $(cat /tmp/hash)"
    wait $download || fail 'the download ended'
    assert_equal "$(head -c 100000000 /dev/zero | sha256sum)" "$(cat /tmp/big)" 'hash of the download'
    wait $queries || fail "dnsperf: $(tail -n 3 /tmp/dnsperf)"
    grep -q 'Queries completed: *[1-9]' /tmp/dnsperf || fail "no query was answered: $(cat /tmp/dnsperf)"
    [ -n "$(/bin/dig @$net.6 +short +tries=3 +time=5 example.org A)" ] || fail 'no answer to a query'
    note "all four guests $1: 8 MB by iperf3, $(stat -c %s /tmp/upload) bytes up and 100 MB down intact," \
        "$(wc -l </tmp/answers) commands of redis and $(cat /tmp/asked) requests on one connection answered in order;" \
        "DNS: $(sed -n 's/^ *Queries \(completed\|lost\): *\([0-9]*\).*/\2 \1/p' /tmp/dnsperf | tr '\n' ' ')"
}

for what in ${happens:-saved_and_restored}; do through "$what"; done
if [ "${reboots:-}" = yes ]; then
    # Nothing survives that, but the guest comes again: a guest that has migrated has an xl behind it, which sees to that.
    answers() { /bin/curl --silent --fail --max-time 2 --output /dev/null "http://$net.2/"; }
    before=$(xl domid web)
    xl reboot web
    within 60 sh -c "xl domid web 2>/dev/null | grep -vqx $before" || fail 'web does not come again'
    within 60 answers || fail 'web does not answer after its reboot'
    note 'web serves again after xl reboot'
fi
for name in $guests; do destroy "$name"; done
ip link set xenbr7 down
brctl delbr xenbr7
