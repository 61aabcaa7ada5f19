# shellcheck shell=bash
# examples/cohttp: MirageOS's HTTP server and store on our TCP, with curl and wrk.

cohttp=http://$stack
# With -T and no length known, curl would wait a second for leave to go on, which cohttp does not give.
put() { get -X PUT --data-binary @- "$@"; }

cohttp_routes() {
    get "$cohttp/" | grep 'Hello from cohttp, OCaml 5' || return
    get -g "http://[$stack6]/rust/curl" | grep 'Hello curl, this is Rust' || return
    [ "$(code "$cohttp/nothing")" = 404 ] && [ "$(code -X POST "$cohttp/notes/a")" = 405 ]
}
cohttp_notes() {
    [ "$(code "$cohttp/notes/a")" = 404 ] || return
    put "$cohttp/notes/a" <<<'to be kept' | grep Noted && get "$cohttp/notes/a" | grep 'to be kept' || return
    [ "$(head -c 100000 /dev/zero | code -T - "$cohttp/notes/b")" = 413 ] && [ "$(code "$cohttp/notes/b")" = 404 ] || return
    get -X DELETE "$cohttp/notes/a" | grep Forgotten && [ "$(code "$cohttp/notes/a")" = 404 ] || return
    local i
    for i in $(seq 64); do put "$cohttp/notes/$i" <<<"$i" | grep -q Noted || return; done
    [ "$(code -X PUT -d x "$cohttp/notes/more")" = 507 ] && get "$cohttp/notes/64" | grep -x 64
}
cohttp_hash() {
    head -c 20000000 /dev/urandom >"$work/upload"
    local hash
    hash=$(sha256sum <"$work/upload" | cut -d ' ' -f 1)
    [ "$(get -T "$work/upload" "$cohttp/sha256")" = "$hash" ] || return
    # In chunks.
    [ "$(get -T - "$cohttp/sha256" <"$work/upload")" = "$hash" ] && [ "$(resident)" -lt 100000 ]
}
cohttp_keep_alive() {
    get -v "$cohttp/" "$cohttp/rust/again" "$cohttp/" 2>&1 | grep -ci 're-us' | grep -x 2 || return
    # Many heads on one connection are each no longer than a head may be.
    curl -sS --max-time 20 -o /dev/null -w '%{http_code} %{num_connects}\n' "$cohttp/rust/[1-1000]" |
        awk '$1 != 200 { bad++ } { made += $2 } END { print NR, bad + 0, made }' | grep -x '1000 0 1'
}
cohttp_panic() {
    [ "$(code "$cohttp/rust/panic")" = 500 ] && get "$cohttp/" | grep Hello
}
# A head that has no end, and octets that are no head.
cohttp_nonsense() {
    local i
    # shellcheck disable=SC2016 # of the inner shell
    timeout 60 bash -c '{ printf "GET / HTTP/1.1\r\n"; yes "X-A: b"; } >"/dev/tcp/$1/80"' _ "$stack"
    [ $? != 124 ] || { echo "it reads on and on" && return 1; }
    head -c 100000 /dev/urandom >"/dev/tcp/$stack/80"
    printf 'GET / HTTP/1.1\r\n%s' "$(head -c 100000 /dev/zero | tr '\0' a)" >"/dev/tcp/$stack/80"
    for i in 1 2 3 4 5; do timeout 60 bash -c 'printf "\033[2J\r\n\r\n" >&0; cat' <>"/dev/tcp/$stack/80" >/dev/null; done
    ! grep -a 2J "$log" || return
    get "$cohttp/" | grep Hello && [ "$(resident)" -lt 100000 ]
}
cohttp_many() {
    ulimit -n 4096
    wrk -t 1 -c 100 -d 2 "$cohttp/rust/wrk" | tee "$work/wrk"
    echo "NOTE: $(awk '/Requests\/sec/ { print $2 }' "$work/wrk") requests/s on 100 connections, each a promise of Rust's"
    ! grep -E 'Socket errors|Non-2xx' "$work/wrk" && grep 'requests in' "$work/wrk"
}

group cohttp cohttp_routes cohttp_notes cohttp_hash cohttp_keep_alive cohttp_panic cohttp_nonsense cohttp_many
