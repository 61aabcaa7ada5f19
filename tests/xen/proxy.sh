# The proxy on real Xen, between a client and a server in dom0.
# images: proxy
# programs: client

ip=10.0.2.26 dom0=10.0.2.15
client() { timeout 200 /share/programs/client "$@"; }
create served proxy memory=64 'vif=["script=vif-rig,bridge=xenbr0"]' \
    "cmdline=\"--ipv4=$ip/24 --port=7 --target=$dom0:7777\""
wait_console served 'proxy on port 7 of' 20

! client echo $ip 7 10 1 || fail 'an echo without a server'
wait_console served "$dom0:7777: connection refused" 5

client serve $dom0 7777 &
server=$!
within 5 client echo $dom0 7777 1 1 || fail 'no server'
client echo $ip 7 8000000 1 || fail 'echo of 8 MB'
client echo $ip 7 2000 100 || fail '100 connections'
kill $server

xl shutdown served
assert_shutdown served poweroff
assert_console served ' 0 connections cut, 0 bytes were copied'
