# shellcheck shell=bash
# The stack as server: echo, in OCaml and in Rust.

echo_small() { client echo $stack 7 1 1; }
echo_nothing() { client echo $stack 7 0 1; }
echo_16_MiB() { client echo $stack 7 $megabytes 1; }
echo_16_MiB_v6() { client echo $stack6 7 $megabytes 1; }
connections_200() { client echo $stack 7 20000 200; }

# More frames than are taken in a turn, all at once, and nothing after them that would wake the stack, not even
# the timers of its first seconds.
burst_while_it_rests() {
    local status
    start echo --ipv4=$stack/24
    reachable && sleep 14
    kill -STOP "$running"
    for _ in $(seq 40); do ping -c 10 -i 0.001 -W 0.01 $stack; done
    kill -CONT "$running"
    sleep 0.5
    within 3 ping -c 1 -W 1 $stack
    status=$?
    stop
    return $status
}
# How many packets come back while ten datagrams are sent to ADDRESS.
echoes_from() { # ADDRESS
    local before
    before=$(awk '$1 == "tap0:" { print $3 }' /proc/net/dev)
    hping3 --quiet --udp --interval u10000 --count 10 --data 8 --baseport 5000 --destport 7 "$1" >&2
    awk -v before="$before" '$1 == "tap0:" { print $3 - before }' /proc/net/dev
}
# Datagrams that were sent to everybody are not answered, unlike those to us. Neighbours may ask for each other
# meanwhile.
echo_answers_nobody_for_all() {
    needs hping3 || return
    local ours everybody
    start echo --ipv4=$stack/24 --ipv4-only
    reachable
    ours=$(echoes_from $stack)
    everybody=$(echoes_from 10.0.0.255)
    echo "$stack: $ours; 10.0.0.255: $everybody"
    stop && [ "$ours" -ge 10 ] && [ "$everybody" -lt 5 ]
}
ends_in_good_order() {
    start echo $addresses
    within 10 grep 'echo on port 7' "$log" && stop
}

group echo echo_small echo_nothing echo_16_MiB echo_16_MiB_v6 connections_200
alone burst_while_it_rests echo_answers_nobody_for_all ends_in_good_order
