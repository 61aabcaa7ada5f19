# Throughput and requests per second of a disk in dom0's memory, with and without persistent grants.
# images: disk
# limit: 300

truncate -s 32M /tmp/data
loop=$(losetup -f)
losetup "$loop" /tmp/data || fail losetup
dd if=/dev/zero of="$loop" bs=1M count=32 2>/dev/null
for mode in '' ' persistent'; do
    create bench disk memory=64 "disk=[\"phy:$loop,xvda,w\"]" "cmdline=\"bench --disk=data:xvda$mode\""
    assert_shutdown bench poweroff 120
    assert_console bench '^measured'
    console bench | sed -n "s/^bench \(.*\)/\1/p" | while read -r line; do note "${mode:-without}: $line"; done
    destroy bench
done
losetup -d "$loop"
