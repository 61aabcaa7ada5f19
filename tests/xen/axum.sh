# An unmodified axum on tokio's threads: all of its routes, 16 and 64 connections at a time, from the host and
# from dom0.
# images: axum
# forward: 10.0.2.24:80
# limit: 240

create service axum memory=64 'vif=["script=vif-rig,bridge=xenbr0"]' 'cmdline="RUST_LOG=warn --ipv4=10.0.2.24/24"'
wait_console service 'axum on port 80' 30
host_step axum
for connections in 16 64; do
    /bin/wrk -t 1 -c $connections -d 5 http://10.0.2.24:80/ >/tmp/wrk 2>&1 || fail "wrk: $(cat /tmp/wrk)"
    ! grep 'Socket errors' /tmp/wrk || fail "wrk, $connections connections: $(cat /tmp/wrk)"
    note "$connections connections: $(awk '/^Requests\/sec/ { print int($2) }' /tmp/wrk) requests/s"
done
xl shutdown service
assert_shutdown service poweroff
