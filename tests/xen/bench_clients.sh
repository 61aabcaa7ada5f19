# Real clients, and what they go through: iperf3, an upload, a download, requests on a kept connection, a redis client
# in transactions, DNS queries without end. Twenty times one of their guests is saved and restored while they run, each
# of the four in its turn; each time the clients of that guest have to get on, and in the end all has to have arrived.
# bench_clients_moved and bench_clients_copied do the rest with the same clients.
# images: peer http kv dns
# limit: 1200

net=10.1.7 times=${times:-20} happens=${happens:-saved_and_restored}
brctl addbr xenbr7
ip addr add $net.1/24 dev xenbr7
ip link set xenbr7 up
vif() { echo "vif=[\"mac=00:16:3e:00:07:$1,script=vif-rig,bridge=xenbr7\"]"; }

# {1 What happens to a guest}

# Mapped guest pages cannot be written to the share directly, and dom0's memory has no room for them.
saved=/share/saved
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
# Not for longer: a paused guest's clock goes on, and http closes what has made no progress for 30 s.
paused() { # NAME
    xl pause "$1"
    sleep 20
    xl unpause "$1"
}

# {1 The clients}

create peer peer vcpus=1 "$(vif 04)" "cmdline=\"--ipv4=$net.4/24\""
create web http vcpus=1 "$(vif 02)" "cmdline=\"--ipv4=$net.2/24 -l error\""
create store kv vcpus=1 "$(vif 05)" "cmdline=\"--ipv4=$net.5/24\""
create names dns vcpus=1 "$(vif 06)" "cmdline=\"--ipv4=$net.6/24\""
wait_console peer '^ready' 60
wait_console store 'kv on port 6379' 60
wait_console names 'dns on port 53' 60
answers() { /bin/curl --silent --fail --max-time 2 --output /dev/null "http://$net.2/"; }
within 60 answers || fail 'http does not answer'

# Others of this kind may have run before.
rm -f /tmp/enough /tmp/sent /tmp/read /tmp/asked /tmp/back

# The pieces of the upload; the download is read in such pieces too. Both take as long as all the rest does.
head -c 65536 /dev/urandom >/tmp/piece
lasting() { [ ! -e /tmp/enough ]; }
send_up() {
    while lasting; do
        cat /tmp/piece
        echo >>/tmp/sent
        sleep 1
    done | /bin/curl --silent --fail --upload-file - "http://$net.2/upload" >/tmp/hash
}
read_down() {
    /bin/curl --silent --fail "http://$net.2/big" | {
        while lasting; do
            dd bs=64k count=1 2>/tmp/dd
            # Else it is the end.
            grep -q '^0+0' /tmp/dd || echo >>/tmp/read
            sleep 1
        done
        cat
    } | sha256sum >/tmp/big
}

# One connection, on which the server has to answer all requests in order.
ask_web() {
    {
        while lasting; do
            printf 'GET / HTTP/1.1\r\nHost: web\r\n\r\n'
            echo >>/tmp/asked
            sleep 0.5
        done
        printf 'GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n'
        # Else nc ends its direction, and a server may take that for the end.
        within 120 closed || true
    } | nc $net.2 80 >/tmp/kept
}
closed() { grep -qi '^connection: close' /tmp/kept; }

# redis-cli gives its server up after half a minute without an answer to a keep-alive probe, and has no option for
# that: it talks to a pipe in dom0, which holds on.
ask_store() {
    mkfifo /tmp/back
    nc -l -p 7379 </tmp/back | nc $net.5 6379 >/tmp/back &
    sleep 0.5
    # Most of the time it is within a transaction.
    while lasting; do
        printf '%s\n' multi 'incr counter'
        sleep 0.5
        printf '%s\n' 'incr counter' exec
    done | /bin/redis-cli -h 127.0.0.1 -p 7379 >/tmp/redis 2>&1
}

ask_peer() { exec /bin/iperf3 -c $net.4 -t 10000 -b 1M -i 1 -f k --forceflush >/tmp/iperf 2>&1; }

printf '%s\n' 'example.org A' 'www.example.org A' 'nobody.example.org A' >/tmp/queries
ask_names() { exec /bin/dnsperf -s $net.6 -d /tmp/queries -c 2 -Q 20 -S 1 -l 10000 >/tmp/dnsperf 2>&1; }

# How many answers the clients of a guest have. Of the transfers, much may be in dom0's buffers: that they went on shows
# in the end.
answered() { # NAME
    case $1 in
        # Seconds in which it got on.
        peer) grep -c 'sec  *[1-9].* Kbits/sec' /tmp/iperf ;;
        web) grep -c '^HTTP/1.1 200' /tmp/kept ;;
        store) wc -l </tmp/redis ;;
        names) grep -c '^[0-9.]*: [1-9]' /tmp/dnsperf ;;
    esac
}
# Whether there are some more, and not just those that were on their way.
further() { [ "$(answered "$1")" -ge $(($2 + 5)) ]; } # NAME BEFORE

touch /tmp/iperf /tmp/kept /tmp/redis /tmp/dnsperf
for client in ask_peer send_up read_down ask_web ask_store ask_names; do
    $client &
    eval "$client=\$!"
done
for name in peer web store names; do within 60 further $name 0 || fail "the clients of $name do not begin"; done

# {1 What they go through}

through() { # WHAT NAME
    "$1" "$2"
    before=$(answered "$2" || true)
    within 120 further "$2" "$before" || fail "the clients of $2 do not get on: $before answers, and $(answered "$2")"
}

for what in $happens; do
    n=0
    while [ $n -lt "$times" ]; do
        for name in peer web store names; do
            n=$((n + 1))
            start=$(now)
            through "$what" $name
            echo "$n: $name was $what, and all goes on after $((($(now) - start) / 100)) s"
        done
    done
done

read=$(wc -l </tmp/read)
[ "$read" -lt 1200 ] || fail "the download was nearly over before the rest: $read pieces"
touch /tmp/enough
kill -INT "$ask_peer" "$ask_names"
wait "$ask_peer" || true
grep -q 'the client has terminated' /tmp/iperf || fail "iperf3: $(tail -n 3 /tmp/iperf)"
wait "$ask_store" || fail "redis-cli: $(tail -n 3 /tmp/redis)"
# Each command was answered once and took effect once, two in each transaction.
awk '{ should = NR % 5 == 1 ? "OK" : NR % 5 ~ /[23]/ ? "QUEUED" : ++n } $0 != should { exit 1 }' /tmp/redis ||
    fail "answers of redis: $(tail -n 12 /tmp/redis)"
wait "$ask_web" || fail "requests on a kept connection: $(tail -n 3 /tmp/kept)"
asked=$(($(wc -l </tmp/asked) + 1))
assert_equal $asked "$(grep -c '^HTTP/1.1 200' /tmp/kept)" 'answers on a kept connection'
wait "$send_up" || fail 'the upload ended'
sent=$(wc -l </tmp/sent)
hash=$(for _ in $(seq "$sent"); do cat /tmp/piece; done | sha256sum | cut -d' ' -f1)
assert_equal "$hash" "$(cat /tmp/hash)" 'hash of the upload'
wait "$read_down" || fail 'the download ended'
assert_equal "$(head -c 100000000 /dev/zero | sha256sum)" "$(cat /tmp/big)" 'hash of the download'
wait "$ask_names" || fail "dnsperf: $(tail -n 3 /tmp/dnsperf)"
note "each of four guests was $happens in its turn, $n times in all, and all flows of their clients went on: iperf3 for" \
    "$(answered peer) seconds; $((sent * 65536)) bytes up and 100000000 down, whose hashes are right;" \
    "$(($(wc -l </tmp/redis) / 5)) transactions of redis and $asked requests, each on one connection and answered in order;" \
    "DNS: $(sed -n 's/^ *Queries \(completed\|lost\): *\([0-9]*\).*/\2 \1/p' /tmp/dnsperf | tr '\n' ' ')"

if [ "${reboots:-}" = yes ]; then
    # Nothing survives that, but the guest comes again: a guest that has migrated has an xl behind it, which sees to
    # that.
    before=$(xl domid web)
    xl reboot web
    within 60 sh -c "xl domid web 2>/dev/null | grep -vqx $before" || fail 'web does not come again'
    within 60 answers || fail 'web does not answer after its reboot'
    note 'web serves again after xl reboot'
fi
for name in peer web store names; do destroy $name; done
ip link set xenbr7 down
brctl delbr xenbr7
