# An unmodified axum on tokio's threads: all of its routes, 16 and 64 connections at a time, from the host and
# from dom0; and 600 clients at a time that do not read what they download, in 32 MiB, beside one that reads.
# images: axum
# programs: crowd
# forward: 10.0.2.24:80
# limit: 320

create service axum memory=64 'vif=["script=vif-rig,bridge=xenbr0"]' 'cmdline="RUST_LOG=warn --ipv4=10.0.2.24/24"'
wait_console service 'axum on port 80' 30
host_step axum 120
for connections in 16 64; do
    /bin/wrk -t 1 -c $connections -d 5 http://10.0.2.24:80/ >/tmp/wrk 2>&1 || fail "wrk: $(cat /tmp/wrk)"
    # wrk counts also who waits for two seconds, which on a busy machine may be anybody.
    ! grep 'Socket errors:.* \(connect\|read\|write\) [1-9]' /tmp/wrk || fail "wrk, $connections connections: $(cat /tmp/wrk)"
    note "$connections connections: $(awk '/^Requests\/sec/ { print int($2) }' /tmp/wrk) requests/s"
done
xl shutdown service
assert_shutdown service poweroff

create crowded axum memory=32 'vif=["script=vif-rig,bridge=xenbr0"]' 'cmdline="--ipv4=10.0.2.28/24"'
wait_console crowded 'axum on port 80' 30
served_beside() { # KIND CLIENTS SECONDS REQUEST: what they send
    /share/programs/crowd "$1" 10.0.2.28 80 "$2" "$3" "$4" 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' >/tmp/crowd 2>&1 || true
    cat /tmp/crowd
    assert_equal 3 "$(grep -c 'the old connection: .* 0 without' /tmp/crowd)" 'times that who was known was served'
    assert_equal 1 "$(grep -c 'after, new connections: .* 0 without' /tmp/crowd)" 'times that newcomers were served after the crowd'
}
served_beside unread 600 8 'GET /download?bytes=100000000 HTTP/1.1\r\nHost: x\r\n\r\n'
# hyper keeps up to 400 KB of a head. These come again and again, until the domain has been short of memory for a while:
# fewer than there are places, so that none of them has to make room for another.
(
    until console crowded | grep -q 'memory is nearly used up'; do sleep 0.2; done
    sleep 3
    touch /tmp/was-short
) &
watcher=$!
export UNTIL=/tmp/was-short
served_beside endless 80 90 'GET / HTTP/1.1\r\nX: '
unset UNTIL
kill $watcher 2>/dev/null || true
[ -e /tmp/was-short ] || fail 'memory was never short'
# Far more than there are places.
served_beside endless 400 4 'GET / HTTP/1.1\r\nX: '
lines=$(console crowded | grep -c 'memory is nearly used up')
[ "$lines" -le 20 ] || fail "the console says $lines times why connections were reset"
xl shutdown crowded
assert_shutdown crowded poweroff
