# Files of a disk that mkfs.erofs has made, by std::fs, by mirust::fs and by Mirage_kv.RO, as cksum on the host tells
# them; blocking calls of threads on a disk; redb, whose domain is destroyed while it commits; and files that persist,
# whose domain is destroyed while it writes.
# images: files files-kv
# limit: 300

host_step files
cp "$images/files.erofs" /tmp/site
site=$(losetup -f)
losetup -r "$site" /tmp/site || fail 'losetup site'

for how in std async kv; do
    # The image of Mirage_kv.RO has no other case.
    case $how in kv) image=files-kv case='' ;; *) image=files case="$how " ;; esac
    create "files-$how" "$image" "disk=[\"phy:$site,xvda,r\"]" "cmdline=\"$case--disk=site:xvda\""
    assert_shutdown "files-$how" poweroff 60
    assert_console "files-$how" '^told'
    console "files-$how" | tr -d '\r' | grep '^file ' | sort >/tmp/list
    cmp /tmp/list "$images/files.list" || fail "the files differ ($how)"
    destroy "files-$how"
done
assert_console files-std '^refused: Read-only file system'
# Less than the image: an error, and the domain says so.
truncate -s 64K /tmp/site
losetup -c "$site"
create files-cut files "disk=[\"phy:$site,xvda,r\"]" 'cmdline="async --disk=site:xvda"'
assert_shutdown files-cut crash 30
assert_console files-cut 'longer than the disk'
destroy files-cut
losetup -d "$site"
rm /tmp/site

truncate -s 16M /tmp/data
loop=$(losetup -f)
losetup "$loop" /tmp/data || fail 'losetup data'
create blocking files "disk=[\"phy:$loop,xvda,w\"]" 'cmdline="blocking --disk=data:xvda"'
assert_shutdown blocking poweroff 60
assert_console blocking '^threads have written'
destroy blocking
sync
# The first block of the third thread.
there=$(dd if="$loop" bs=4096 skip=512 count=1 2>/dev/null | tr -cd '\040' | wc -c)
assert_equal 4096 "$there" 'bytes that a thread wrote'

# The database begins on what others left there.
create commit files memory=48 "disk=[\"phy:$loop,xvda,w\"]" 'cmdline="commit --disk=data:xvda"'
wait_console commit '^committed 8' 60
destroy commit
heard=$(console commit | tr -d '\r' | sed -n 's/^committed //p' | tail -n 1)
create check files memory=48 "disk=[\"phy:$loop,xvda,w\"]" 'cmdline="check --disk=data:xvda"'
assert_shutdown check poweroff 60
there=$(console check | tr -d '\r' | sed -n 's/^there are //p')
[ "${there:-0}" -gt "$heard" ] || fail "$heard was committed, and there are ${there:-none}"
note "redb: $heard was the last commit that was heard of, and there are $there"
destroy check
losetup -d "$loop"

# What is there already is not overwritten; where there are zeros, files persist. The last round finds what two domains
# have left that were destroyed.
truncate -s 96M /tmp/data
loop=$(losetup -f)
losetup "$loop" /tmp/data || fail 'losetup data'
printf XFSB | dd of="$loop" conv=notrunc 2>/dev/null
create other files memory=40 "disk=[\"phy:$loop,xvda,w\"]" 'cmdline="keep --disk=data:xvda"'
assert_shutdown other crash 60
assert_console other 'the disk holds something else'
destroy other
dd if=/dev/zero of="$loop" bs=1M count=1 conv=notrunc 2>/dev/null
create small files memory=64 "disk=[\"phy:$loop,xvda,w\"]" 'cmdline="keep --disk=data:xvda"'
assert_shutdown small crash 60
assert_console small 'it has 96 MiB, and needs 1[0-9]*'
destroy small
for n in 8 30; do
    create keep files memory=40 "disk=[\"phy:$loop,xvda,w\"]" 'cmdline="keep --disk=data:xvda"'
    wait_console keep "^kept $n" 60
    destroy keep
done
heard=$(console keep | tr -d '\r' | sed -n 's/^kept //p' | tail -n 1)
create kept files memory=40 "disk=[\"phy:$loop,xvda,w\"]" 'cmdline="kept --disk=data:xvda"'
assert_shutdown kept poweroff 60
there=$(console kept | tr -d '\r' | sed -n 's/^the last was //p')
[ "${there:-0}" -ge "$heard" ] || fail "$heard was kept, and the last was ${there:-none}"
note "files: $heard was the last that was heard of, and $there was kept"
destroy kept
losetup -d "$loop"
