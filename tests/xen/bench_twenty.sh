# Twenty suspensions in a row, each of them a migration to the same host with a transfer under way: the guest's memory
# is as after the first one.
# images: peer
# programs: client
# limit: 1000

ip=10.1.8.2 times=20
brctl addbr xenbr8
ip addr add 10.1.8.1/24 dev xenbr8
ip link set xenbr8 up
create peer peer vcpus=1 'vif=["mac=00:16:3e:00:08:02,script=vif-rig,bridge=xenbr8"]' "cmdline=\"--ipv4=$ip/24\""
wait_console peer '^ready' 20

# KiB of the guest's heap of C and Rust, or of its free memory.
heap() { nc $ip 17 | sed -n 's/^memory: .* heap \([0-9]*\) KiB.*/\1/p'; }
free() { nc $ip 17 | sed -n 's/^memory: .* \([0-9]*\) KiB free.*/\1/p'; }
for n in $(seq $times); do
    timeout 200 /share/programs/client echo $ip 7 4000000 1 >/tmp/transfer 2>&1 &
    transfer=$!
    sleep 0.3
    xl migrate -s '' peer 'xl migrate-receive' >/tmp/migrate 2>&1 || fail "xl migrate, $n: $(tail -n 3 /tmp/migrate)"
    wait $transfer || fail "the transfer did not survive suspension $n: $(cat /tmp/transfer)"
    now=$(heap)
    [ "$n" -gt 1 ] || first=$now
    echo "$n: heap $now KiB, free $(free) KiB"
done
# What differs is whole slabs of 256 KiB, into which received frames are copied: so many as the collector has let be in
# use at a time, and they are kept. The image has a bound for them.
grown=$((now - first)) slabs=$(((now - first + 128) / 256))
note "$times suspensions with a transfer through each: the heap had $first KiB after the first and $now KiB after the last," \
    "of which $slabs slabs are $((slabs * 256)) KiB"
rest=$((grown - slabs * 256))
[ "$rest" -le 32 ] || fail "memory grows by $rest KiB"
[ "$slabs" -le 16 ] || fail "$slabs slabs are more than there may be"
# What has been received has an xl behind it, which clears up.
xl shutdown peer
wait_gone peer
ip link set xenbr8 down
brctl delbr xenbr8
