# The host reaches a guest's server through a forwarded port.
# images: net
# forward: 10.0.2.21:80

create served net memory=64 'vif=["script=vif-rig,bridge=xenbr0"]' 'cmdline="--ipv4=10.0.2.21/24"'
wait_console served '^ready'
host_step forward
xl shutdown served
assert_shutdown served poweroff
