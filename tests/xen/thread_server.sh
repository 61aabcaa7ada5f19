# A thread for each connection, of the standard library alone, in an ordinary crate: clients of the host, and 16 and 64
# connections at a time from dom0.
# crates: threads
# forward: 10.0.2.26:80
# limit: 240

create service thread-server memory=64 'vif=["script=vif-rig,bridge=xenbr0"]' 'cmdline="MIRUST_ARGS=--ipv4=10.0.2.26/24"'
wait_console service 'threads on port 80' 30
host_step thread_server 120
for connections in 16 64; do
    /bin/wrk -t 1 -c $connections -d 5 --timeout 4s http://10.0.2.26:80/wrk >/tmp/wrk 2>&1 || fail "wrk: $(cat /tmp/wrk)"
    # wrk counts also who waits for two seconds, which on a busy machine may be anybody.
    ! grep 'Socket errors:.* \(connect\|read\|write\) [1-9]\|Non-2xx' /tmp/wrk || fail "wrk, $connections connections: $(cat /tmp/wrk)"
    note "$connections connections: $(awk '/^Requests\/sec/ { print int($2) }' /tmp/wrk) requests/s"
done
xl shutdown service
assert_shutdown service poweroff
