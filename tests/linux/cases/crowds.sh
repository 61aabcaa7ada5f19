# shellcheck shell=bash
# Clients that take memory and do not give it back, as many as a domain of 32 MiB has, and an honest one beside
# them: the process may take as much as such a domain has (crowd.ml).

# start_small MEBIBYTES NAME ARGUMENT...: as `start`, with so much address space beyond what it begins with.
start_small() {
    local space name=$2 free=$1
    shift 2
    start "$name" --network-memory=1M "$@"
    reachable
    space=$(awk '/^VmSize/ { print $2 }' "/proc/$running/status")
    stop
    (
        ulimit -v $((space + free * 1024))
        exec "$bin/$name" --interface="$tap@$mac" "$@"
    ) >"$log" 2>&1 &
    running=$!
    reachable
}

crowd() { # KIND CONNECTIONS SECONDS
    local status=0
    start_small 24 echo $addresses
    timeout 100 "$bin/crowd" "$1" $stack 7 "$2" "$3" || status=$?
    [ $status -eq 0 ] && runs || status=1
    stop || status=1
    # What it says must be bounded, too.
    [ "$(wc -l <"$log")" -lt 100 ] || { echo "$(wc -l <"$log") lines on the console" && status=1; }
    return $status
}
crowd_that_does_not_read() { crowd unread 2000 8; }
crowd_that_sends_an_octet() { crowd octet 2000 8; }
crowd_that_is_idle() { crowd idle 2000 8; }

alone crowd_that_does_not_read crowd_that_sends_an_octet crowd_that_is_idle
