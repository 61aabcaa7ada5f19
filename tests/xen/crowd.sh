# Two thousand clients that send and never read, then idle ones, in 32 MiB, with a well-behaved client beside them.
# images: echo
# programs: crowd
# limit: 320

brctl addbr xenbr3
ip addr add 10.3.0.1/24 dev xenbr3
ip link set xenbr3 up
create crowded echo memory=32 'vif=["mac=00:16:3e:00:00:41,script=vif-rig,bridge=xenbr3"]' \
    'cmdline="--ipv4=10.3.0.2/24 --ipv4-only"'
wait_console crowded 'echo on port 7' 20

for kind in unread octet idle; do
    if /share/programs/crowd $kind 10.3.0.2 7 2000 10 >/tmp/crowd 2>&1; then
        note "$kind: $(sed -n 's/, new connections//p' /tmp/crowd | tr '\n' '|')"
    else
        cat /tmp/crowd
        fail "$kind: the honest client was not served"
    fi
    cat /tmp/crowd
done
xl shutdown crowded
assert_shutdown crowded poweroff
