# `xl mem-set` down and up again, and a domain that begins with less than it may have (`maxmem`): what Xen counts, what
# the guest knows, and that pages which came can be used. What is in use stays, with a word, and goes when it is let go
# of.
# images: peer
# limit: 90

ip=10.1.6.2
brctl addbr xenbr6
ip addr add 10.1.6.1/24 dev xenbr6
ip link set xenbr6 up
with_vif() { # NAME KEY=VALUE...
    name=$1
    shift
    create "$name" peer vcpus=1 "$@" \
        'vif=["mac=00:16:3e:00:06:02,script=vif-rig,bridge=xenbr6"]' "cmdline=\"--ipv4=$ip/24\""
    wait_console "$name" '^ready' 20
}

# MiB that Xen counts: what was asked for, and less than one for Xen's own pages.
has() { [ "$(xl list "$1" | awk 'NR == 2 { print $3 }')" = "$2" ]; }
wait_has() { within 20 has "$1" "$2" || fail "$1 has $(xl list "$1" | awk 'NR == 2 { print $3 }') MiB of $2: $(console "$1" | tail -n 3)"; }
# KiB that the guest knows of.
knows() { nc $ip 17 | sed -n 's/^memory: \([0-9]*\) KiB.*/\1/p'; }
connections() { nc $ip 17 | sed -n 's/^network: .*KiB: \([0-9]*\) connections.*/\1/p'; }
# Has the guest use this many MiB until they are let go of, if it can.
hold() { # MIB ANSWER
    rm -f /tmp/hold
    mkfifo /tmp/hold
    nc $ip 18 </tmp/hold >/tmp/held &
    exec 4>/tmp/hold
    echo "$1" >&4
    within 20 grep -q . /tmp/held || fail "no answer from who is to hold $1 MiB"
    assert_equal "$2" "$(cat /tmp/held)" "holding $1 MiB"
}
let_go() { exec 4>&-; }

echo '-- down and up'
with_vif peer memory=64
at_first=$(knows)
shares=$(connections)
xl mem-set peer 40
wait_has peer 40
wait_console peer '24576 of 24576 KiB are given back'
assert_equal $((at_first - 24576)) "$(knows)" 'what the guest knows of'
[ "$(connections)" -lt "$shares" ] || fail "the network's bounds did not follow"
hold 30 'no memory'
let_go
xl mem-set peer 64
wait_has peer 64
wait_console peer ' 0 of 0 KiB'
assert_equal "$at_first" "$(knows)" 'what the guest knows of'
assert_equal "$shares" "$(connections)" "the network's bounds"
hold 30 held

echo '-- in use'
xl mem-set peer 24
wait_console peer 'the rest is in use'
let_go
wait_has peer 24
destroy peer
wait_gone peer

echo '-- from the start'
with_vif peer memory=24 maxmem=96
wait_has peer 24
at_first=$(knows)
hold 40 'no memory'
let_go
xl mem-set peer 96
# The few pages of the start, too.
wait_console peer ' 0 of 0 KiB'
[ "$(knows)" -gt $((at_first + 72 * 1024 - 1)) ] || fail "the guest knows of $(knows) KiB, and had $at_first"
hold 60 held
let_go
xl mem-set peer 32
wait_has peer 32
if console peer | grep -q 'does not take\|not available'; then fail 'something was refused'; fi
xl shutdown peer
assert_shutdown peer poweroff
destroy peer
ip link set xenbr6 down
brctl delbr xenbr6
