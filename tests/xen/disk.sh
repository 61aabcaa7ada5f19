# A disk on a real blkback: the bytes, as dom0 finds them; a disk that goes and comes back in the middle of
# work; one that cannot be written, one whose storage is full, one with bad sectors, and one that grows and shrinks.
# images: disk
# limit: 600

# file NAME MEGABYTES: an empty image in memory, as a loop device whose name is printed.
file() {
    truncate -s "$2M" "/tmp/$1"
    loop=$(losetup -f)
    losetup "$loop" "/tmp/$1" || fail "losetup $1"
    echo "$loop"
}

for mode in '' ' persistent'; do
    loop=$(file data 12)
    head -c 4194304 /dev/urandom >/tmp/random
    dd if=/tmp/random of="$loop" bs=1M conv=notrunc
    create copy disk "disk=[\"phy:$loop,xvda,w\"]" "cmdline=\"copy --disk=data:xvda$mode\""
    assert_shutdown copy poweroff 60
    assert_console copy '^copied'
    sync
    dd if="$loop" bs=1M skip=4 count=4 2>/dev/null | cmp - /tmp/random || fail 'the copy differs'
    awk 'BEGIN { for (n = 0; n < 2048; n++) printf "%0511d\n", n }' >/tmp/lines
    dd if="$loop" bs=1M skip=8 count=1 2>/dev/null | cmp - /tmp/lines || fail 'the lines differ'
    dd if="$loop" bs=1M skip=9 count=1 2>/dev/null | cmp -n 1048576 - /dev/zero || fail 'no zeros'
    destroy copy
    losetup -d "$loop"
    rm /tmp/data
done

# Detached and attached in the middle of work: nothing is lost, and nobody notices but by the time.
loop=$(file data 12)
create hold disk "disk=[\"phy:$loop,xvda,w\"]" 'cmdline="hold --disk=data:xvda"'
wait_console hold '^holding'
for round in 1 2; do
    sleep 1
    xl block-detach hold xvda || fail "block-detach $round"
    sleep 0.5
    xl block-attach hold "phy:$loop,xvda,w" || fail "block-attach $round"
done
# One that the program has no use for lets itself be detached again.
truncate -s 1M /tmp/unused
unused=$(losetup -f)
losetup "$unused" /tmp/unused
xl block-attach hold "phy:$unused,xvdb,w" || fail 'block-attach of another one'
wait_console hold 'device/vbd/51728: nothing in this program uses the disk'
xl block-detach hold xvdb || fail 'block-detach of what nobody uses'
losetup -d "$unused"
rm /tmp/unused
xl shutdown hold
assert_shutdown hold poweroff 40
assert_console hold '^held: .* 3 connections, .* 0 lies'
note "$(console hold | grep '^held')"
destroy hold

# The same disk for a second domain, while one writes to it, is the toolstack's to refuse.
create first disk "disk=[\"phy:$loop,xvda,w\"]" 'cmdline="hold --disk=data:xvda"'
wait_console first '^holding'
if xl create -e /dev/null 'name="second"' 'type="pvh"' "kernel=\"$images/disk.elf\"" memory=32 \
    "disk=[\"phy:$loop,xvda,w\"]" 'cmdline="hold --disk=data:xvda"' >/tmp/second 2>&1; then
    fail 'two domains write to one disk'
fi
destroy first

# Nothing can be written.
dd if=/tmp/lines of="$loop" conv=notrunc
create ro disk "disk=[\"phy:$loop,xvda,r\"]" 'cmdline="read-only --disk=data:xvda"'
assert_shutdown ro poweroff 30
assert_console ro '^read-only: 000000000000'
destroy ro
losetup -d "$loop"

# The storage behind it is full.
mkdir -p /tmp/small
mount -t tmpfs -o size=3m tmpfs /tmp/small
truncate -s 8M /tmp/small/data
loop=$(losetup -f)
losetup "$loop" /tmp/small/data
create full disk "disk=[\"phy:$loop,xvda,w\"]" 'cmdline="full --disk=data:xvda"'
assert_shutdown full poweroff 60
assert_console full '^full: errors are told'
destroy full
losetup -d "$loop"
umount /tmp/small

# Its sectors have 4096 bytes, and those of the second mebibyte can be neither read nor written. Linux's list of them
# counts in 512 bytes.
nullb=/sys/kernel/config/nullb/nullb0
insmod /lib/modules/configfs.ko || :
insmod /lib/modules/null_blk.ko nr_devices=0
mount -t configfs configfs /sys/kernel/config
mkdir $nullb
echo 8 >$nullb/size
echo 4096 >$nullb/blocksize
echo 1 >$nullb/memory_backed
echo +2048-4095 >$nullb/badblocks
echo 1 >$nullb/power
# Or Linux might make one request of two of ours, and fail both.
echo 2 >/sys/block/nullb0/queue/nomerges
create bad disk 'disk=["phy:/dev/nullb0,xvda,w"]' 'cmdline="bad --disk=data:xvda"'
assert_shutdown bad poweroff 30
assert_console bad '^bad: only those who asked for it were told'
destroy bad

# It grows.
loop=$(file data 4)
create grows disk "disk=[\"phy:$loop,xvda,w\"]" 'cmdline="resize --disk=data:xvda"'
wait_console grows '^size 4194304'
truncate -s 8M /tmp/data
losetup -c "$loop"
assert_shutdown grows poweroff 30
assert_console grows '^size 8388608 now'
destroy grows

# It shrinks.
create shrinks disk "disk=[\"phy:$loop,xvda,w\"]" 'cmdline="shrink --disk=data:xvda"'
wait_console shrinks '^size 8388608'
truncate -s 4M /tmp/data
losetup -c "$loop"
assert_shutdown shrinks poweroff 30
assert_console shrinks '^size 4194304 now'
