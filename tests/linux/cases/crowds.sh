# shellcheck shell=bash
# Clients that make the server hold memory and never release it, as many as a domain of 32 MiB has places for, with a
# well-behaved client beside them: the process is limited to the memory of such a domain (crowd.ml).

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
    timeout 200 "$bin/crowd" "$1" $stack 7 "$2" "$3" || status=$?
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

# {1 The examples}

kv() { timeout 60 redis-cli -h $stack "$@"; }

# More than fits: the store says so, and goes on; what it has can be had.
kv_when_full() {
    local i status=0 refused=0
    start_small 24 kv $addresses
    head -c 900000 /dev/zero >"$work/value"
    for i in $(seq 30); do
        kv -x set "key$i" <"$work/value" | grep -q OOM && refused=$((refused + 1))
    done
    [ "$refused" -gt 10 ] && [ "$refused" -lt 30 ] || { echo "$refused refused" && status=1; }
    [ "$(kv --raw get key1 | wc -c)" = 900001 ] || status=1
    [ "$(kv exists key1 key2 nothing)" = 2 ] || status=1
    [ "$(kv set small value)" = OK ] || [ "$(kv flushall)" = OK ] || status=1
    runs && [ "$(kv ping)" = PONG ] || status=1
    stop || status=1
    return $status
}

# Seven kilobytes that ask for a gigabyte, by twenty who do not read it.
kv_large_answers_that_nobody_reads() {
    local i status=0
    start_small 24 kv $addresses
    head -c 1000000 /dev/zero >"$work/value"
    kv -x set k <"$work/value" || status=1
    {
        printf '*1024\r\n$4\r\nMGET\r\n'
        for i in $(seq 1023); do printf '$1\r\nk\r\n'; done
    } >"$work/mget"
    for i in $(seq 20); do
        (exec 3<>"/dev/tcp/$stack/6379" && cat "$work/mget" >&3 && sleep 8) &
    done
    sleep 4
    runs && [ "$(kv ping)" = PONG ] && [ "$(kv set other value)" = OK ] || status=1
    sleep 5
    stop || status=1
    return $status
}

# served_beside PORT REQUEST QUESTION [KIND]: a thousand clients send a request and read nothing; one that asks now and
# then is served all the time, and of new connections nearly all: one that comes in the storm of a thousand may be
# pushed out by the next two hundred.
served_beside() {
    local status=0
    timeout 200 "$bin/crowd" "${4:-idle}" $stack "$1" 1000 6 "$2" "$3" >"$work/crowd"
    cat "$work/crowd"
    [ "$(grep -cE 'the old connection: .* 0 without' "$work/crowd")" = 3 ] || status=1
    awk '/new connections/ && ++n && $NF == "without" && $(NF - 1) * 20 > $4 { exit 1 } END { if (n != 3) exit 1 }' \
        "$work/crowd" || status=1
    runs || status=1
    # What it says must be bounded, too.
    [ "$(wc -l <"$log")" -lt 100 ] || { echo "$(wc -l <"$log") lines on the console" && status=1; }
    return $status
}
kv_crowd() {
    local status=0
    start_small 24 kv $addresses
    head -c 4000 /dev/zero | kv -x set k >/dev/null || status=1
    served_beside 6379 "$1" 'PING\r\n' "${2:-idle}" || status=1
    [ "$(kv ping)" = PONG ] && [ "$(kv set other value)" = OK ] || status=1
    stop || status=1
    return $status
}
times() { local i; for i in $(seq "$1"); do printf '%s' "$2"; done; }
# Many words cost more than their bytes; an inline command has no array's bound; replies grow where requests do not.
kv_crowd_of_many_words() { kv_crowd "*1024\\r\\n$(times 1000 '$1\r\nk\r\n')"; }
kv_crowd_of_inline_words() { kv_crowd "MGET $(times 6000 'k ')\\r\\n"; }
kv_crowd_of_many_values() { kv_crowd "*1024\\r\\n\$4\\r\\nMGET\\r\\n$(times 1023 '$1\r\nk\r\n')"; }
# And it does not end.
kv_crowd_of_pipelines() { kv_crowd "$(times 200 '*2\r\n$3\r\nGET\r\n$1\r\nk\r\n')" unread; }
# A large request that goes on for ever, a byte at a time, has its memory until its time is over.
kv_crowd_in_the_middle() { kv_crowd "*3\\r\\n\$3\\r\\nSET\\r\\n\$1\\r\\nz\\r\\n\$1000000\\r\\n$(times 6000 y)"; }

web_crowd_in_the_middle() {
    local status=0
    start_small 24 web $addresses
    served_beside 80 'GET / HTTP/1.1\r\nHost: ' 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' || status=1
    stop || status=1
    return $status
}
# Half of a long head, which is kept as it comes.
cohttp_crowd_in_the_middle() {
    local status=0
    start_small 24 cohttp $addresses
    served_beside 80 "GET / HTTP/1.1\\r\\nX: $(times 6000 x)" 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' || status=1
    stop || status=1
    return $status
}
# known_beside PORT CLIENTS MANY ASK...: clients that were served for a while, as many as there are places, send many
# requests and read no answer. One that was served less often, and is idle for as long, stays when others come: the
# server is in the middle of a write to each of them. `ASK... FD` has a request answered.
known_beside() {
    local i fd old known others=() status=0 port=$1 clients=$2 many=$3
    shift 3
    for i in $(seq "$clients"); do
        exec {fd}<>/dev/tcp/$stack/"$port" && "$@" "$fd" && others+=("$fd")
    done
    exec {old}<>/dev/tcp/$stack/"$port"
    for i in 1 2 3 4 5; do
        known=0
        for fd in "${others[@]}"; do ! "$@" "$fd" || known=$((known + 1)); done
        "$@" "$old" || status=1
        sleep 0.2
    done
    echo "$known are known"
    [ $known -ge 15 ] && [ $known -lt "$clients" ] || status=1
    for fd in "${others[@]}"; do printf "$many" >&"$fd"; done 2>/dev/null
    sleep 2
    for i in 1 2 3; do
        exec {fd}<>/dev/tcp/$stack/"$port" && "$@" "$fd" || status=1
        exec {fd}>&-
    done
    "$@" "$old" || { echo "who was served before is gone" && status=1; }
    for fd in "${others[@]}" $old; do exec {fd}>&-; done
    return $status
}
cohttp_asks() {
    local line=
    printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' >&"$1" || return
    until [[ $line = Hello* ]]; do read -r -t 60 line <&"$1" || return; done
} 2>/dev/null
cohttp_crowd_of_known_clients() {
    local status=0
    start_small 16 cohttp $addresses
    head -c 16000 /dev/zero | curl -sSf -m 20 -T - http://$stack/notes/long >/dev/null || status=1
    known_beside 80 100 "$(times 100 'GET /notes/long HTTP/1.1\r\nHost: x\r\n\r\n')" cohttp_asks || status=1
    stop || status=1
    return $status
}
# example.org's address, in an answer with this many octets of zero; and long.example.org's texts.
dns_asks() { # ZEROS FD
    local n
    printf '\000\035\022\064\001\000\000\001\000\000\000\000\000\000\007example\003org\000\000\001\000\001' >&"$2" || return
    for ((n = 0; n < $1; n++)); do read -r -d '' -t 60 _ <&"$2" || return; done
} 2>/dev/null
dns_crowd_of_known_clients() {
    local status=0 long='\000\042\022\064\001\000\000\001\000\000\000\000\000\000\004long\007example\003org\000\000\020\000\001'
    start_small 16 dns $addresses
    known_beside 53 130 "$(times 1000 "$long")" dns_asks 17 || status=1
    stop || status=1
    return $status
}
# The beginning of a question, and www.example.org's address.
dns_crowd_in_the_middle() {
    local status=0
    start_small 24 dns $addresses
    served_beside 53 '\000' '\000\033\018\052\001\000\000\001\000\000\000\000\000\000\003www\007example\003org\000\000\001\000\001' ||
        status=1
    stop || status=1
    return $status
}

alone kv_crowd_of_many_words kv_crowd_of_inline_words kv_crowd_of_many_values kv_crowd_of_pipelines \
    kv_crowd_in_the_middle web_crowd_in_the_middle cohttp_crowd_in_the_middle dns_crowd_in_the_middle \
    cohttp_crowd_of_known_clients dns_crowd_of_known_clients

# Downloads that nobody reads: of 16 MiB a quarter is for connections that are served.
http_crowd() {
    local status=0
    served_beside 80 'GET /big HTTP/1.1\r\nHost: x\r\n\r\n' 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' || status=1
    stop || status=1
    return $status
}
http_crowd_of_downloads() { start_small 16 http $addresses && http_crowd; }
# Requests without end in one burst, whose answers nobody reads: hundreds of clients come in one turn, and have not been
# idle then, as who was there before has.
http_crowd_of_requests() {
    local status=0 request='GET / HTTP/1.1\r\nHost: x\r\n\r\n'
    start_small 16 http $addresses
    served_beside 80 "$request" "$request" unread || status=1
    stop || status=1
    return $status
}
# Such clients of the proxy hold all of TCP's memory, and it needs another connection for each newcomer.
proxy_crowd_of_requests() {
    local status=0 target
    start_small 24 proxy $addresses --target=10.0.0.1:7777
    "$bin/client" serve 10.0.0.1 7777 >/dev/null &
    target=$!
    within 5 listens 7777 || status=1
    served_beside 80 'a line that comes back\n' 'a line that comes back\n' unread || status=1
    stop || status=1
    kill $target
    wait $target 2>/dev/null
    return $status
}
# The process is given its limit when it has been up for a while.
http_crowd_under_a_late_limit() {
    local space
    start http $addresses
    reachable
    space=$(awk '/^VmSize/ { print $2 }' "/proc/$running/status")
    prlimit --pid "$running" --as=$(((space + 16 * 1024) * 1024)) || return
    http_crowd || return
    # What is divided was told at the start, and when it became less.
    [ "$(grep -c 'mirust.network: memory' "$log")" = 2 ]
}

# Strangers who only knock, where there is little more memory than at the start: what they leave in the collector's heap
# has to be given back in time.
syn_flood_in_little_memory() {
    local space status=0
    needs hping3 || return
    start echo $addresses
    reachable
    space=$(awk '/^VmSize/ { print $2 }' "/proc/$running/status")
    prlimit --pid "$running" --as=$(((space + 5 * 1024) * 1024)) || return
    timeout 15 hping3 --quiet --interval u50 --destport 7 --syn --rand-source --data 1000 $stack
    runs && client echo $stack 7 10000 1 || status=1
    cat "$log"
    stop || status=1
    return $status
}

# One forged datagram, and two echo services would talk for ever.
echo_answers_no_service() {
    local status=0
    start echo $addresses
    reachable
    client datagram $stack 7 7777 || status=1
    client datagram $stack 7 7 && status=1
    client datagram $stack 7 19 && status=1
    stop || status=1
    return $status
}

alone kv_when_full kv_large_answers_that_nobody_reads http_crowd_of_downloads http_crowd_of_requests http_crowd_under_a_late_limit \
    echo_answers_no_service proxy_crowd_of_requests syn_flood_in_little_memory
