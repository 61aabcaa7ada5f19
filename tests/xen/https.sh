# HTTPS by hyper and tokio-rustls, an ordinary crate: the certificate is in the ramdisk, which the host has made.
# Clients of the host speak TLS 1.2 and 1.3 to it, and 16 at a time.
# crates: https
# forward: 10.0.2.25:443
# limit: 240

host_step https_files
create service https memory=64 'ramdisk="/share/images/https.cpio"' 'vif=["script=vif-rig,bridge=xenbr0"]' \
    'cmdline="MIRUST_ARGS=--ipv4=10.0.2.25/24"'
wait_console service 'https on port 443' 30
host_step https 120
# A client that is no TLS client, and one that says nothing, hold up nobody.
echo 'GET / HTTP/1.0' | nc 10.0.2.25 443 >/dev/null || true
wait_console service 'corrupt message' 10
xl shutdown service
assert_shutdown service poweroff
