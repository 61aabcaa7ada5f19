# MirageOS's HTTP server and store on real Xen, reached from the host.
# images: cohttp
# forward: 10.0.2.27:80

create served cohttp memory=64 'vif=["script=vif-rig,bridge=xenbr0"]' 'cmdline="--ipv4=10.0.2.27/24"'
wait_console served 'cohttp on port 80' 20
host_step cohttp
xl shutdown served
assert_shutdown served poweroff
