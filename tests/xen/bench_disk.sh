# A disk in dom0's memory: our guest, with and without persistent grants, beside a Linux guest with fio (`make setup`
# with the peers), on the same disk in the same boot. First ours, then Linux, then ours again.
# images: disk
# linux: yes
# limit: 540

seconds=4
truncate -s 32M /tmp/data
loop=$(losetup -f)
losetup "$loop" /tmp/data || fail losetup
dd if=/dev/zero of="$loop" bs=1M count=32 2>/dev/null
host_step bench_disk 110

# What dom0's blkback was notified of.
notified() { awk '/blkif-backend/ { sum += $2 } END { print sum + 0 }' /proc/interrupts; }

ours() { # FILE [MODE]
    create bench disk memory=64 "disk=[\"phy:$loop,xvda,w\"]" "cmdline=\"bench $seconds --disk=data:xvda ${2:-}\""
    assert_shutdown bench poweroff 120
    assert_console bench '^measured'
    console bench | sed -n 's/^bench \(.*\)/\1/p' | tr -d '\r' >"$1"
    destroy bench
}

ours /tmp/first
ours /tmp/persistent persistent

create linux linux memory=288 'ramdisk="/share/images/fio.cpio"' "disk=[\"phy:$loop,xvda,w\"]" \
    "cmdline=\"console=hvc0 quiet mitigations=off random.trust_cpu=on rootfstype=ramfs rdinit=/init rig.seconds=$seconds\""
wait_console linux '^linux: begin' 150
rows=1
while [ $rows -le 6 ]; do
    before=$(notified)
    finished() { [ "$(console linux | grep -c '^linux: \(random\|sequential\|failed\)')" -ge $rows ]; }
    within 60 finished || fail "row $rows of Linux did not end"
    sleep 0.4
    echo "$(($(notified) - before))" >>/tmp/notified
    rows=$((rows + 1))
done
assert_shutdown linux poweroff 30
console linux | tr -d '\r' | sed -n 's/^linux: \(.*\): \(.* requests\)$/\1: \2/p' >/tmp/linux
assert_equal 6 "$(wc -l </tmp/linux)" 'rows of Linux'
destroy linux
ours /tmp/second

# NAME: RATE per second; [...]
rate() { sed -n "s/^$2: \([0-9.]*\).*/\1/p" "$1"; }
while IFS=: read -r name figures; do
    linux=$(rate /tmp/linux "$name")
    sent=$(head -n 1 /tmp/notified)
    sed -i 1d /tmp/notified
    first=$(rate /tmp/first "$name") second=$(rate /tmp/second "$name")
    note "$name: ours $first and $second per second, Linux $linux," \
        "ratio $(awk "BEGIN { printf \"%.2f\", ($first + $second) / 2 / $linux }");" \
        "with persistent grants $(rate /tmp/persistent "$name")"
    note "    each request: $(sed -n "s/^$name.*; each //p" /tmp/second);" \
        "Linux $(echo "$figures" | awk -v sent="$sent" '{ n = $(NF - 1); printf "%.2f notifications, %.2f events", sent / n, $4 / n }')"
done </tmp/linux
losetup -d "$loop"
