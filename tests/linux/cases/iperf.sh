# shellcheck shell=bash
# The real iperf3, both ways.

iperf_in() { iperf3 -c $stack -t 1 >&2; }
iperf_out() { iperf3 -c $stack -t 1 -R >&2; }
iperf_both() { iperf3 -c $stack6 -t 1 --bidir -P 2 -O 1 >&2; }
iperf_udp_refused() { ! iperf3 -c $stack -u -t 1 >&2 && iperf_in; }
iperf_client_killed() {
    timeout 1 iperf3 -c $stack -t 10
    within 10 iperf_in
}

group iperf iperf_in iperf_out iperf_both iperf_udp_refused iperf_client_killed
