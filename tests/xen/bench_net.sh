# The network on Xen: our guest beside a Linux guest in the same run, measured from dom0.
# images: peer
# programs: client
# linux: yes
# limit: 500

runs=3
brctl addbr xenbr1
ip addr add 10.1.0.1/24 dev xenbr1
ip link set xenbr1 up
vif() { echo "vif=[\"mac=00:16:3e:00:00:$1,script=vif-rig,bridge=xenbr1\"]"; }

create peer peer memory=64 "$(vif 21)" 'cmdline="--ipv4=10.1.0.2/24"'
create linux linux memory=256 'ramdisk="/share/images/linux.cpio"' "$(vif 22)" \
    'cmdline="console=hvc0 quiet mitigations=off random.trust_cpu=on rootfstype=ramfs rdinit=/linux-guest rig.address=10.1.0.3/24"'
wait_console peer '^ready' 20
wait_console linux '^linux: ' 250
sleep 3

counter() { nc 10.1.0.2 17 | tr ',;:' '\n\n\n' | sed -n "s/.* \([0-9]*\) $1.*/\1/p; s/^\([0-9]*\) $1.*/\1/p" | head -n 1; }
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
ratio() { awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }

# Megabits per second that arrived; iperf3's own server refuses a client for a moment after the last one.
measure() { # ADDRESS [OPTION]
    for _ in 1 2 3 4 5 6; do
        timeout 30 /bin/iperf3 -c "$@" -t 3 -f m >/tmp/result 2>&1 && break
        sleep 1
    done
    awk '/receiver/ { print $7 }' /tmp/result
}

for _ in $(seq $runs); do
    for way in '' -R; do
        # shellcheck disable=SC2086
        measure 10.1.0.3 $way >>"/tmp/linux$way"
        before=$(counter notifications) blocks=$(counter blocks)
        # shellcheck disable=SC2086
        measure 10.1.0.2 $way >>"/tmp/ours$way"
        megabytes=$(awk '/receiver/ { print $5 }' /tmp/result)
        echo "iperf3 $way: $megabytes MB, notifications $(($(counter notifications) - before)), blocks $(($(counter blocks) - blocks))"
        ratio "$(($(counter notifications) - before))" "$megabytes" >>"/tmp/notifications$way"
        echo >>"/tmp/notifications$way"
        ratio "$(($(counter blocks) - blocks))" "$megabytes" >>"/tmp/blocks$way"
        echo >>"/tmp/blocks$way"
    done
    /share/programs/client requests 10.1.0.3 7 500 >>/tmp/linux-requests
    before=$(counter notifications) blocks=$(counter blocks)
    /share/programs/client requests 10.1.0.2 7 500 >>/tmp/ours-requests
    ratio "$(($(counter notifications) - before))" 500 >>/tmp/notifications-requests
    echo >>/tmp/notifications-requests
    ratio "$(($(counter blocks) - blocks))" 500 >>/tmp/blocks-requests
    echo >>/tmp/blocks-requests
done

row() { # WHAT UNIT PER FILES
    ours=$(median "/tmp/ours$4") linux=$(median "/tmp/linux$4")
    note "$1: $ours $2, a Linux guest $linux, ratio $(ratio "$ours" "$linux");" \
        "$(median "/tmp/notifications$4") notifications and $(median "/tmp/blocks$4") blocks per $3"
}
note "medians of $runs runs; each notification sent and each block is one hypercall"
row 'iperf3 towards the guest' Mbit/s MB ''
row 'iperf3 from the guest' Mbit/s MB -R
row 'one byte and back' requests/s request -requests
