# shellcheck shell=bash
# Floods by a real tool, from a neighbour that is there and from one that never answers, while a client is
# served. No faster than some 20000 packets a second: above that the interface's queue would decide who is served.

sent_packets() { awk '$1 == "tap0:" { print $11 }' /proc/net/dev; }
flooding() { [ "$(sent_packets)" -ge "$1" ]; }
flood() { # HPING3-ARGUMENT...
    needs hping3 || return
    local sender packets status
    start echo $addresses
    reachable
    packets=$(sent_packets)
    hping3 --quiet --interval u50 --destport 7 "$@" $stack &
    sender=$!
    within 30 flooding $((packets + 5000)) && client echo $stack 7 100000 5 && client echo $stack 7 10 100
    status=$?
    kill $sender || status=1
    stop || status=1
    return $status
}
flood_of_syn() { flood --syn; }
flood_of_syn_from_nobody() { flood --syn --spoof 10.0.0.77; }
flood_of_syn_from_everywhere() { flood --syn --rand-source; }
flood_of_ack() { flood --ack; }
flood_of_rst() { flood --rst; }
flood_of_fin() { flood --fin --ack --push --data 100; }
flood_of_bad_checksums() { flood --ack --badcksum --data 100; }
flood_of_tiny_windows() { flood --syn --ack --win 1 && flood --syn --win 1 --tcp-mss 1; }

alone flood_of_syn flood_of_syn_from_nobody flood_of_syn_from_everywhere flood_of_ack flood_of_rst flood_of_fin \
    flood_of_bad_checksums flood_of_tiny_windows
