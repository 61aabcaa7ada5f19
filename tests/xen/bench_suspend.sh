# How long a guest is away, as a client sees it, while it is saved and restored, and how large its saved state is,
# beside a Linux guest.
# images: http
# linux: yes
# limit: 580

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
seconds() { echo "$1" | sed 's/..$/.&/; s/^\./0./'; }

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
for name in web linux; do destroy $name; done
ip link set xenbr7 down
brctl delbr xenbr7
