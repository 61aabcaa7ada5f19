# shellcheck shell=bash
# What a TAP interface does to the program that uses it.

# with_own_tap NAME ARGUMENT...: starts the program on an interface of its own, which the case may do anything to.
with_own_tap() {
    make_tap tap9
    ip addr add 10.0.9.1/24 dev tap9
    tap=tap9 start "$@" --ipv4=10.0.9.2/24 --ipv4-only
    reachable 10.0.9.2
}
ticks() { awk '{ print $14 + $15 }' "/proc/$running/stat"; }

# The device is closed with a word. A program that ends with its network ends; another one has nothing to do.
tap_deleted() { # NAME ENDS
    local status=0 before
    with_own_tap "$1" || status=1
    ip link del tap9
    within 2 grep 'ERROR.*tap9.* is gone' "$log" || { echo 'no word' && status=1; }
    if [ "$2" = ends ]; then
        within 3 eval '! runs' || status=1
        ended || status=1
    else
        before=$(ticks)
        sleep 2
        # A hundredth of the time or so, of two seconds.
        [ $(($(ticks) - before)) -le 5 ] || { echo "$(($(ticks) - before)) ticks in 2 s" && status=1; }
        stop || status=1
    fi
    [ "$(wc -l <"$log")" -lt 12 ] || status=1
    return $status
}
tap_deleted_under_ocaml() { tap_deleted echo ends; }
tap_deleted_under_rust() { tap_deleted echo-rust stays; }

# What is down may come up again.
tap_down_and_up() {
    local status=0 before
    with_own_tap echo || status=1
    ip link set tap9 down
    before=$(ticks)
    sleep 2
    [ $(($(ticks) - before)) -le 5 ] || { echo "$(($(ticks) - before)) ticks in 2 s" && status=1; }
    ip link set tap9 up
    ip addr replace 10.0.9.1/24 dev tap9
    reachable 10.0.9.2 || status=1
    ! grep ERROR "$log" || status=1
    stop || status=1
    ip link del tap9
    return $status
}

# Who forgets to bring it up is told, once; and it works as soon as that is done.
tap_down_at_first() {
    local status=0
    ip tuntap add dev tap9 mode tap
    tap=tap9 start echo --ipv4=10.0.9.2/24 --ipv4-only
    within 5 grep 'WARN.*tap9: the interface is down.*ip link set tap9 up' "$log" || status=1
    ip link set tap9 up
    ip addr add 10.0.9.1/24 dev tap9
    reachable 10.0.9.2 || status=1
    [ "$(grep -c 'is down' "$log")" = 1 ] || status=1
    stop || status=1
    ip link del tap9
    return $status
}

alone tap_deleted_under_ocaml tap_deleted_under_rust tap_down_and_up tap_down_at_first
