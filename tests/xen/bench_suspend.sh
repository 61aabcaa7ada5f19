# Real clients through a save, a restore and a migration: iperf3, an upload and a download, a redis client, DNS queries.
# How long a guest is away, as a client sees it, and how large its saved state is, beside a Linux guest.
# images: peer http kv dns
# linux: yes
# limit: 1000

net=10.1.7 saved=/share/saved
brctl addbr xenbr7
ip addr add $net.1/24 dev xenbr7
ip link set xenbr7 up
vif() { echo "vif=[\"mac=00:16:3e:00:07:$1,script=vif-rig,bridge=xenbr7\"]"; }

# Mapped guest pages cannot be written to the share directly, and dom0's memory has no room for them.
save() { # NAME
    rm -f /tmp/fifo
    mkfifo /tmp/fifo
    cat /tmp/fifo >$saved &
    pipe=$!
    xl save "$1" /tmp/fifo >/tmp/save 2>&1 || fail "xl save: $(tail -n 3 /tmp/save)"
    wait $pipe
}
restore() {
    rm -f /tmp/fifo
    mkfifo /tmp/fifo
    cat $saved >/tmp/fifo &
    xl restore -e /tmp/fifo >/tmp/restore 2>&1 || fail "xl restore: $(tail -n 3 /tmp/restore)"
}
move() { # NAME
    xl migrate -s '' "$1" 'xl migrate-receive' >/tmp/migrate 2>&1 || fail "xl migrate: $(tail -n 3 /tmp/migrate)"
}
seconds() { echo "$1" | sed 's/..$/.&/; s/^\./0./'; }

echo '-- time away'
# Saves and restores a guest, and says how long no ping was answered. What is before is not counted: a first answer.
away() { # NAME ADDRESS
    /bin/ping -c 1 -W 5 "$2" >/dev/null || fail "$1 does not answer"
    /bin/ping -D -n -i 0.2 "$2" >/tmp/pings 2>&1 &
    pinging=$!
    sleep 1
    start=$(now)
    save "$1"
    saving=$(($(now) - start))
    restore
    restoring=$(($(now) - start - saving))
    answers=$(grep -c ttl= /tmp/pings || true)
    answered_more() { [ "$(grep -c ttl= /tmp/pings || true)" -gt $((answers + 3)) ]; }
    within 60 answered_more || fail "$1 does not answer any more"
    kill -INT $pinging
    wait $pinging || true
    gap=$(awk '/ttl=/ { t = substr($1, 2) + 0; if (before && t - before > most) most = t - before; before = t } END { printf "%.1f", most }' /tmp/pings)
    size=$(stat -c %s $saved)
    rm $saved
}
create web http vcpus=1 "$(vif 02)" "cmdline=\"--ipv4=$net.2/24 -l error\""
create linux linux memory=256 'ramdisk="/share/images/linux.cpio"' "$(vif 03)" \
    "cmdline=\"console=hvc0 quiet mitigations=off random.trust_cpu=on rootfstype=ramfs rdinit=/linux-guest rig.address=$net.3/24\""
wait_console linux '^linux: ' 150
away web $net.2
ours=$gap
note "http of 32 MiB: $gap s without an answer (saved in $(seconds $saving), restored in $(seconds $restoring) s), $size bytes saved"
away linux $net.3
note "a Linux guest of 256 MiB: $gap s (saved in $(seconds $saving), restored in $(seconds $restoring) s), $size bytes;" \
    "ratio of the times away $(awk "BEGIN { printf \"%.2f\", $ours / $gap }")"
destroy linux
wait_gone linux

echo '-- clients'
create peer peer vcpus=1 "$(vif 04)" "cmdline=\"--ipv4=$net.4/24\""
create store kv vcpus=1 "$(vif 05)" "cmdline=\"--ipv4=$net.5/24\""
create names dns vcpus=1 "$(vif 06)" "cmdline=\"--ipv4=$net.6/24\""
wait_console peer '^ready' 20
wait_console store 'kv on port 6379' 20
wait_console names 'dns on port 53' 20
head -c 16000000 /dev/urandom >/tmp/upload
printf '%s\n' 'example.org A' 'www.example.org A' 'nobody.example.org A' >/tmp/queries

through() { # WHAT: `$1 NAME` for each of the four, with clients at all of them.
    echo "-- $1"
    timeout 900 /bin/iperf3 -c $net.4 -n 20M -b 1M -f m >/tmp/iperf 2>&1 &
    iperf=$!
    timeout 900 /bin/curl --silent --fail --limit-rate 200k --upload-file /tmp/upload "http://$net.2/upload" >/tmp/hash &
    upload=$!
    timeout 900 /bin/curl --silent --fail --limit-rate 1M "http://$net.2/big" >/tmp/big &
    download=$!
    /bin/dnsperf -s $net.6 -d /tmp/queries -c 2 -Q 10 -l 120 >/tmp/dnsperf 2>&1 &
    queries=$!
    : >/tmp/answers
    timeout 900 sh -c 'while [ ! -e /tmp/enough ]; do echo "incr counter"; sleep 0.1; done' |
        timeout 900 /bin/redis-cli -h $net.5 >/tmp/answers 2>&1 &
    redis=$!
    sleep 2
    for name in peer web store names; do
        "$1" $name
        [ ! -e $saved ] || { restore && rm $saved; }
    done
    sleep 2
    touch /tmp/enough
    wait $redis || fail "redis-cli: $(tail -n 3 /tmp/answers)"
    rm /tmp/enough
    # Each command was answered once and took effect once.
    awk -v first="$(head -n 1 /tmp/answers)" '$1 != first + NR - 1 { exit 1 }' /tmp/answers ||
        fail "answers of redis: $(tail -n 5 /tmp/answers)"
    wait $iperf || fail "iperf3: $(tail -n 3 /tmp/iperf)"
    wait $upload || fail 'the upload ended'
    grep -q "$(sha256sum </tmp/upload | cut -d' ' -f1)" /tmp/hash || fail "the upload differs: $(cat /tmp/hash)"
    wait $download || fail 'the download ended'
    tr -d '\000' </tmp/big | wc -c | grep -q '^0$' || fail 'the download differs'
    big=$(stat -c %s /tmp/big)
    wait $queries || fail "dnsperf: $(tail -n 3 /tmp/dnsperf)"
    grep -q 'Queries completed: *[1-9]' /tmp/dnsperf || fail "no query was answered: $(cat /tmp/dnsperf)"
    [ -n "$(/bin/dig @$net.6 +short +tries=3 +time=5 example.org A)" ] || fail 'no answer to a query'
    note "$1: 20 MB by iperf3, $(stat -c %s /tmp/upload) bytes up and $big down intact, $(wc -l </tmp/answers) commands of redis" \
        "in order; DNS: $(sed -n 's/^ *Queries \(completed\|lost\): *\([0-9]*\).*/\2 \1/p' /tmp/dnsperf | tr '\n' ' ')"
}
through save
through move
for name in peer web store names; do destroy $name; done
ip link set xenbr7 down
brctl delbr xenbr7
