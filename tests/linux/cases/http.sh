# shellcheck shell=bash
# examples/http: a hyper server in Rust on the OCaml stack, with curl and wrk.

http=http://$stack
get() { curl -sS --max-time 30 "$@"; }
code() { get -o /dev/null -w '%{http_code}' "$@"; }
metric() { get "$http/metrics" | awk -v name="$1" '$1 == name { print $2 }'; }

# A thousand connections at a time are more packets than Linux keeps for an interface, by default.
before_http() { ip link set tap0 txqueuelen 10000; }
after_http() { ip link set tap0 txqueuelen 500; }

http_routes() {
    get "$http/" | grep 'Hello from Rust' && get -g "http://[$stack6]/" | grep 'Hello from Rust' || return
    get "$http/ocaml/curl" | grep 'Hello curl, this is OCaml' || return
    [ "$(get "$http/big" | wc -c)" = 100000000 ] || return
    get "$http/metrics" | grep '^# TYPE http_requests_total counter' || return
    [ "$(code "$http/nothing")" = 404 ] && [ "$(code -X DELETE "$http/")" = 404 ]
}
http_upload() {
    head -c 20000000 /dev/urandom >"$work/upload"
    local hash
    hash=$(sha256sum <"$work/upload" | cut -d ' ' -f 1)
    [ "$(get --upload-file "$work/upload" "$http/upload")" = "$hash" ] || return
    # Of a length that is not known beforehand.
    [ "$(get --upload-file - "$http/upload" <"$work/upload")" = "$hash" ] || return
    [ "$(get --data-binary '' "$http/upload")" = "$(printf '' | sha256sum | cut -d ' ' -f 1)" ]
}
# Larger ones are refused: by their length at once, or when that much has come.
http_upload_too_large() {
    [ "$(get -o "$work/refusal" -w '%{http_code}' -H 'Content-Length: 100000001' -X PUT "$http/upload")" = 413 ] || return
    grep 'no more than 100000000' "$work/refusal" || return
    [ "$(head -c 101000000 /dev/zero | code --upload-file - "$http/upload")" = 413 ] || return
    # A client that reads nothing before it has sent much is told, too.
    exec 3<>"/dev/tcp/$stack/80" || return
    printf 'PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100000001\r\n\r\n' >&3
    head -c 20000000 /dev/zero >&3 || return
    sleep 0.2
    timeout 60 cat <&3 | grep '^HTTP/1.1 413' || return
    exec 3>&-
    get "$http/" | grep Hello && settled
}
# Single octets are no progress: such a client loses its place, and one that is merely slow does not.
http_upload_of_single_octets() {
    exec 3<>"/dev/tcp/$stack/80"
    printf 'PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n' >&3
    (while printf y 2>/dev/null >&3; do sleep 1; done) &
    head -c 300000 /dev/zero >"$work/slow"
    curl -sS --max-time 60 --limit-rate 7k --upload-file "$work/slow" "$http/upload" | grep -E '^[0-9a-f]{64}$' || return
    [ "$(metric http_connections)" = 1 ] || return
    exec 3>&-
    # It ends by writing to a connection that is gone.
    wait $! || true
}
http_keep_alive() {
    get -v "$http/" "$http/ocaml/again" "$http/metrics" 2>&1 | grep -ci 're-us' | grep -x 2
}
http_pipelining() {
    exec 3<>"/dev/tcp/$stack/80"
    printf 'GET /ocaml/%s HTTP/1.1\r\nHost: x\r\n\r\n' one two three >&3
    printf 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >&3
    # In the order of the requests.
    [ "$(grep -o 'Hello [a-zR]*' <&3 | tr '\n' ' ')" = 'Hello one Hello two Hello three Hello from ' ] && exec 3>&-
}
# A client that asks nothing more, and closes its direction, gets the whole answer.
http_half_closed() {
    [ "$(printf 'GET /big HTTP/1.0\r\nHost: x\r\n\r\n' | client ask $stack 80 | wc -c)" -gt 100000000 ]
}
http_1000_connections() {
    ulimit -n 4096
    wrk -t 1 -c 1000 -d 2 "$http/" | tee "$work/wrk"
    echo "NOTE: $(awk '/Requests\/sec/ { print $2 }' "$work/wrk") requests/s on 1000 connections"
    ! grep -E 'Socket errors|Non-2xx' "$work/wrk" && grep 'requests in' "$work/wrk" && settled
}
# All connections but the one that asks have ended.
alone_again() { [ "$(metric http_connections)" = 1 ]; }
settled() { within 10 alone_again || { get "$http/metrics" && ss -tn dst $stack && return 1; }; }
# More connections than are served at a time: those who came first make room, and then all is as before.
http_flood() {
    ulimit -n 4096
    client hold $stack 80 2500 </dev/null | tee /dev/stderr | grep -E '10(2[4-9]|[3-9].) of 2500' && settled && http_routes
}
http_panic() {
    # It has no answer; who shares the server notices nothing.
    slowly "$http/ocaml/other" &
    local other=$!
    (get "$http/panic" 2>&1 || true) | grep 'Empty reply' && wait $other || return
    grep 'ERROR panic: as it was asked to' "$log" && get "$http/" | grep Hello && settled
}
http_exception() {
    [ "$(code "$http/ocaml/raise")" = 500 ] || return
    get "$http/ocaml/raise" "$http/ocaml/next" | grep 'Hello next'
}
slowly() { timeout 1 curl -sS -o /dev/null --limit-rate 50k "$http/big"; get "$@" | grep Hello; }
# Readers who take their time, of 2 GB between them: others are served, and the memory is bounded.
http_slow_readers() {
    local i readers=()
    for i in $(seq 20); do
        curl -sS -o /dev/null --limit-rate 10k "$http/big" 2>/dev/null &
        readers+=($!)
    done
    within 5 eval '[ "$(metric http_connections)" = 21 ]' || return
    wrk -t 1 -c 50 -d 1 "$http/" | tee /dev/stderr | grep 'requests in' || return
    echo "$(resident) KiB resident"
    [ "$(resident)" -lt 200000 ] || return
    kill "${readers[@]}"
    wait "${readers[@]}" 2>/dev/null
    settled
}
http_nonsense() {
    head -c 100000 /dev/urandom >"/dev/tcp/$stack/80"
    printf 'GET / HTTP/1.1\r\n%s' "$(head -c 100000 /dev/zero | tr '\0' a)" >"/dev/tcp/$stack/80"
    get "$http/" | grep 'Hello' && settled
}

group http http_routes http_upload http_upload_too_large http_upload_of_single_octets http_keep_alive \
    http_pipelining http_half_closed http_1000_connections http_flood http_panic http_exception http_slow_readers \
    http_nonsense
