# The network on Xen: our guest beside a Linux guest in the same run, measured from dom0, by iperf3 and by a second
# tool, since iperf3's sender starves in that guest on a busy machine.
# images: peer
# programs: client
# linux: yes
# limit: 560

# What is wanted: runs, seconds.
host_step bench_net 60
# shellcheck disable=SC1091 # made by the step
. "$images/wanted"
brctl addbr xenbr1
ip addr add 10.1.0.1/24 dev xenbr1
ip link set xenbr1 up
vif() { echo "vif=[\"mac=00:16:3e:00:00:$1,script=vif-rig,bridge=xenbr1\"]"; }

create ours peer memory=64 "$(vif 21)" 'cmdline="--ipv4=10.1.0.2/24"'
create linux linux memory=256 'ramdisk="/share/images/net.cpio"' "$(vif 22)" \
    'cmdline="console=hvc0 quiet mitigations=off random.trust_cpu=on rootfstype=ramfs rdinit=/linux-net rig.address=10.1.0.3/24"'
wait_console ours '^ready' 20
wait_console linux '^linux: ' 250
sleep 3
address() { case $1 in ours) echo 10.1.0.2 ;; *) echo 10.1.0.3 ;; esac; }

# What netback in dom0 was notified of by a guest, and what our guest says of itself: notifications of the backend's,
# blocks, and frames either way.
notified() { awk -v vif="vif$(domid "$1")[.]" '$0 ~ vif { sum += $2 } END { print sum + 0 }' /proc/interrupts; }
told() {
    nc 10.1.0.2 17 | tr ',;:' '\n\n\n' | awk '
        / events/ && !seen { events = $1; seen = 1 } / blocks/ { blocks = $1 } / frames/ { frames += $2 }
        END { print events + 0, blocks + 0, frames + 0 }'
}
# The seconds for which a guest and dom0 have had the processor.
ran() { xl list | awk -v guest="$1" '$1 == guest { g = $6 } $1 == "Domain-0" { d = $6 } END { print g, d }'; }

# Each says how many megabytes (or requests) there were, and how many megabits (requests) a second.
iperf() { # ADDRESS [OPTION]
    # Its server refuses a client for a moment after the last one.
    for _ in 1 2 3 4 5 6; do
        timeout 60 /bin/iperf3 -c "$@" -t "$seconds" -f m >/tmp/iperf3 2>&1 && break
        sleep 1
    done
    awk '/receiver/ { print $5 * ($6 ~ /^K/ ? 0.001 : $6 ~ /^G/ ? 1000 : 1), $7 }' /tmp/iperf3
}
client() { # MODE ADDRESS PORT NUMBER
    for _ in 1 2 3 4 5 6; do
        timeout 60 /share/programs/client "$@" >/tmp/client 2>&1 && break
        # Busybox's server takes one at a time.
        sleep 0.3
    done
    cat /tmp/client
}
tool() { # WHAT SIDE
    at=$(address "$2")
    case $1 in
        iperf-in) iperf "$at" ;;
        iperf-out) iperf "$at" -R ;;
        in) client flood "$at" 9 "$seconds" | awk '/MB/ { print $1, $3 }' ;;
        out) client drain "$at" 19 "$seconds" | awk '/MB/ { print $1, $3 }' ;;
        requests) client requests "$at" 7 500 | awk '/second/ { print 500, $1 }' ;;
    esac
}
# Adds a line to /tmp/SIDE-WHAT: the rate; and for each megabyte (or request) the notifications that were sent, the
# milliseconds of the guest and of dom0, and what our guest says.
measure() { # WHAT SIDE
    was="$(told) $(notified "$2") $(ran "$2")"
    tool "$1" "$2" >/tmp/result
    # The processor's time first, or looking at the rest would be counted.
    is="$(ran "$2") $(notified "$2") $(told)"
    [ -s /tmp/result ] || fail "$1 at $2: nothing"
    echo "$(cat /tmp/result) $was $is" | awk '{
        printf "%s %.3f %.2f %.2f %.3f %.3f %.3f\n", $2, ($11 - $6) / $1, ($9 - $7) * 1000 / $1, ($10 - $8) * 1000 / $1,
            ($12 - $3) / $1, ($13 - $4) / $1, ($14 - $5) / $1
    }' >>"/tmp/$2-$1"
    echo "$1, $2: $(tail -n 1 "/tmp/$2-$1")"
}
kinds='iperf-in iperf-out in out requests'
for _ in $(seq "$runs"); do
    for kind in $kinds; do
        measure "$kind" linux
        measure "$kind" ours
    done
done

# The median of a column.
column() { awk -v c="$2" '{ print $c }' "$1" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
# The median, least and greatest ratio of neighbouring runs.
ratios() { # FILE FILE
    paste -d ' ' "$1" "$2" | awk '{ print $1 / $(NF / 2 + 1) }' | sort -n |
        awk '{ v[NR] = $1 } END { printf "%.2f (%.2f-%.2f)", v[int((NR + 1) / 2)], v[1], v[NR] }'
}
note "medians of $runs runs, spread: the least and the greatest ratio of neighbouring runs; each notification, and each" \
    "block, is one hypercall; dom0's load $(cut -d' ' -f1 /proc/loadavg)"
for kind in $kinds; do
    a=/tmp/ours-$kind b=/tmp/linux-$kind unit=Mbit/s per=MB
    [ $kind != requests ] || unit=requests/s per=request
    note "$kind: $(column $a 1) and, a Linux guest, $(column $b 1) $unit, ratio $(ratios $a $b); a $per of ours:" \
        "$(column $a 2) notifications, $(column $a 5) of the backend's, $(column $a 6) blocks, $(column $a 7) frames," \
        "$(column $a 3) ms and $(column $a 4) of dom0; of Linux: $(column $b 2) notifications, $(column $b 3) ms and" \
        "$(column $b 4) of dom0"
done
