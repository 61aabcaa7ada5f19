# shellcheck shell=bash
# Whether the stack can be reached, and says so.

ping4() { ping -c 5 -i 0.1 -W 1 $stack; }
ping6() { ping -6 -c 5 -i 0.1 -W 1 $stack6; }
ping6_link_local() { ping -6 -c 3 -i 0.1 -W 1 fe80::ff:fe00:2%tap0; }
ping_fragments() { ping -c 3 -i 0.1 -W 1 -s 8000 $stack && ping -6 -c 3 -i 0.1 -W 1 -s 8000 $stack6; }
arp() {
    ip neigh flush dev tap0
    ping -c 1 -W 1 $stack && ip -4 neigh show dev tap0 | grep "$stack lladdr $mac" || return 1
    needs arping || return
    arping -c 2 -w 2 -I tap0 $stack
}
arp_address_in_use() {
    needs arping || return
    # -D asks as a host does that wants the address for itself: an answer means that it is taken.
    ! arping -D -c 2 -w 2 -I tap0 $stack
}
neighbour_discovery() {
    ip -6 neigh flush dev tap0
    ping -6 -c 1 -W 2 $stack6 && ip -6 neigh show dev tap0 | grep "$stack6 lladdr $mac"
}
closed_port() { ! client echo $stack 81 10 1 && ! client echo $stack6 81 10 1; }

group echo ping4 ping6 ping6_link_local ping_fragments arp arp_address_in_use neighbour_discovery closed_port
