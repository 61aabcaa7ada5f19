#!/bin/bash
# Runs in the rig's Linux, for bench-netem: netem.sh RUNS SECONDS RATE, links in /share/links.
#
#   client 10.0.0.1 -- c0 -- bridge -- tap0 -- our server 10.0.0.2
#                                  \-- s0 -- a kernel's server 10.0.0.3
#
# The bridge's ports have the queue: on the way to a server that of tap0 or s0, on the way back that of c0. A
# token bucket above it, far faster than the link, cuts large segments, so that the loss of a packet is that of
# one segment for both, whatever the sender made of it.
set -u
runs=$1 seconds=$2 rate=$3
results=/share/results
mkdir -p $results /run/netns

ip link add br0 type bridge
ip link set br0 up
for name in c s; do
    ip netns add $name
    ip link add ${name}0 type veth peer name eth0 netns $name
    ip link set ${name}0 master br0 up
    ip netns exec $name ip link set lo up
    ip netns exec $name ip link set eth0 up
done
ip netns exec c ip addr add 10.0.0.1/24 dev eth0
ip netns exec s ip addr add 10.0.0.3/24 dev eth0
ip tuntap add dev tap0 mode tap
ip link set tap0 master br0 up

queue() { # PORT NETEM...
    local port=$1
    shift
    tc qdisc replace dev "$port" root handle 1: tbf rate 10gbit burst 2000 limit 1000000 &&
        tc qdisc replace dev "$port" parent 1: handle 2: netem rate "${rate}mbit" "$@" || exit 1
}

# Half of the delay each way; the loss, and whatever else, both ways. With `queue N` the data meets a queue of this many
# packets and the acknowledgements all of the delay, since netem counts what it delays as in its queue.
link() { # RTT:LOSS[:MORE] WAY
    local rtt loss more port data='s0 tap0' seed=1
    IFS=: read -r rtt loss more <<<"$1"
    [ "$2" = in ] || data=c0
    for port in c0 s0 tap0; do
        case "$more" in
            queue*)
                if [[ " $data " = *" $port "* ]]; then
                    queue $port limit "${more#queue }" loss "$loss%" seed $seed
                else
                    queue $port limit 1000 delay "${rtt}ms"
                fi
                ;;
            *)
                # shellcheck disable=SC2086 # words of netem
                queue $port limit 200 delay "$((rtt * 500))us" loss "$loss%" $more seed $seed
                ;;
        esac
    done
}

# Kilobits per second that arrived; iperf3's own server refuses a client for a moment after the last one.
measure() { # FILE ADDRESS [OPTION]
    local file=$1
    shift
    for _ in 1 2 3 4 5; do
        timeout $((seconds * 3 + 10)) /bin/ip netns exec c iperf3 -c "$@" --json -t "$seconds" >"$file" 2>&1 && break
        sleep 1
    done
    awk '/"sum_received"/ { here = 1 }
         here && /"bits_per_second"/ { sub(/.*: */, ""); printf "%d\n", $0 / 1000; found = 1; exit }
         END { if (!found) print 0 }' "$file"
}
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# Bulk transfer as of old: neither side has anything to remember of the last connection.
for namespace in c s; do ip netns exec $namespace sh -c 'echo 1 >/proc/sys/net/ipv4/tcp_no_metrics_save'; done
ip netns exec s iperf3 -s -D
/share/iperf --interface=tap0@02:00:00:00:00:02 --ipv4=10.0.0.2/24 --accept-router-advertisements=false \
    >$results/ours.log 2>&1 &
link 0:0 in
for address in 10.0.0.2 10.0.0.3; do
    until ip netns exec c ping -c 1 -W 1 $address >/dev/null; do sleep 0.2; done
done

echo "iperf3 through netem at $rate Mbit/s, medians of $runs runs of $seconds s, kbit/s" >>/share/report
printf '%-22s %-4s %10s %18s %7s\n' 'RTT (ms) : loss (%)' way 'this stack' 'kernel to kernel' ratio >>/share/report
number=0
while read -r spec; do
    number=$((number + 1))
    for run in $(seq "$runs"); do
        for way in in out; do
            option=()
            [ $way = in ] || option=(-R)
            # The same fate for both: the generators start anew.
            link "$spec" $way
            measure "$results/$number-$way-ours-$run" 10.0.0.2 "${option[@]}" >>"$results/$number-$way-ours"
            link "$spec" $way
            measure "$results/$number-$way-kernel-$run" 10.0.0.3 "${option[@]}" >>"$results/$number-$way-kernel"
        done
    done
    for way in in out; do
        ours=$(median "$results/$number-$way-ours") kernel=$(median "$results/$number-$way-kernel")
        printf '%-22s %-4s %10s %18s %7s\n' "$spec" $way "$ours" "$kernel" \
            "$(awk "BEGIN { printf \"%.2f\", $ours / ($kernel ? $kernel : 1) }")" >>/share/report
    done
done </share/links
