# The hyper server on real Xen, reached from the host.
# images: http
# forward: 10.0.2.23:80

# As little memory as is promised.
create served http memory=16 shadow_memory=8 'vif=["script=vif-rig,bridge=xenbr0"]' 'cmdline="--ipv4=10.0.2.23/24"'
wait_console served 'http on port 80' 20
host_step http
xl shutdown served
assert_shutdown served poweroff
