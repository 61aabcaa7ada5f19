# A disk in dom0's memory: our guest, with and without persistent grants, beside a Linux guest with fio (`make setup`
# with the peers), on the same disk in the same boot. First ours, then Linux, then ours again. Both read the processor's
# clock without Xen, which otherwise emulates it here; Linux reads it more often. What one of them writes, the other
# reads.
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
    create bench disk memory=64 'tsc_mode="native"' "disk=[\"phy:$loop,xvda,w\"]" "cmdline=\"bench $seconds --disk=data:xvda ${2:-}\""
    wait_console bench '^measured' 120
    assert_shutdown bench poweroff
    console bench | sed -n 's/^bench \(.*\)/\1/p' | tr -d '\r' >"$1"
    destroy bench
}

# Copies the first 4 MiB behind themselves.
copy() {
    create copy disk memory=64 "disk=[\"phy:$loop,xvda,w\"]" 'cmdline="copy --disk=data:xvda"'
    assert_shutdown copy poweroff 60
    destroy copy
}

# sum MEBIBYTE: of 4 MiB of the disk, as dom0 sees them.
sum() { dd if="$loop" bs=1M skip="$1" count=4 iflag=direct 2>/dev/null | md5sum; }

ours /tmp/first
ours /tmp/persistent persistent

head -c 4194304 /dev/urandom | dd of="$loop" bs=1M conv=notrunc 2>/dev/null
sync
copy
from_us=$(sum 4)
assert_equal "$(sum 0)" "$from_us" 'our copy'
create linux linux memory=288 'tsc_mode="native"' 'ramdisk="/share/images/fio.cpio"' "disk=[\"phy:$loop,xvda,w\"]" \
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
assert_console linux "^linux: found ${from_us%% *}"
assert_console linux "^linux: left $(sum 0 | cut -d' ' -f1)"
console linux | tr -d '\r' | sed -n 's/^linux: \(.*\): \(.* requests\)$/\1: \2/p' >/tmp/linux
assert_equal 6 "$(wc -l </tmp/linux)" 'rows of Linux'
destroy linux
copy
assert_equal "$(sum 0)" "$(sum 4)" 'our copy of what Linux left'
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
