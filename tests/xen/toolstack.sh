# What else the toolstack can do to a domain that runs: another name, another vCPU, keys and triggers, an interface that
# nobody asked for, and a cable that is plugged into another network. Each works, or the console or xl says why not.
# images: peer
# programs: client
# limit: 180

ip=10.1.17.2
vif() { echo "mac=00:16:3e:00:17:$1" script=vif-rig bridge=xenbr17; }
brctl addbr xenbr17
ip addr add 10.1.17.1/24 dev xenbr17
ip link set xenbr17 up
create peer peer vcpus=1 maxvcpus=2 "vif=[\"$(vif 02 | tr ' ' ,)\"]" "cmdline=\"--ipv4=$ip/24\""
wait_console peer '^ready' 20
answers() { timeout 240 /share/programs/client echo $ip 7 10000 1; }

echo '-- another name'
xl rename peer other || fail 'xl rename'
answers || fail 'no answer under another name'
xl rename other peer || fail 'xl rename, back'

echo '-- a second vCPU: it stays where it is'
xl vcpu-set --ignore-host peer 2 || fail 'xl vcpu-set'
answers || fail 'no answer with two vCPUs'
assert_equal 1 "$(xl vcpu-list peer | awk 'NR > 1 && $4 != "-"' | wc -l)" 'vCPUs that run'
if xl vcpu-set --ignore-host peer 3 >/tmp/vcpus 2>&1; then fail 'xl grants more vCPUs than there can be'; fi

echo '-- keys, and triggers that a PVH domain does not have'
xl sysrq peer m || fail 'xl sysrq'
wait_console peer 'nothing behind "m"'
for trigger in power sleep s3resume; do xl trigger peer $trigger || echo "xl refuses $trigger"; done
answers || fail 'no answer after triggers'

echo '-- an interface that the program has no use for'
# shellcheck disable=SC2046 # words
xl network-attach peer $(vif 03) || fail 'network-attach of a second one'
answers || fail 'no answer beside an interface that nobody uses'
xl network-detach peer 1 || fail 'network-detach of a second one'

echo '-- the cable leads elsewhere: shorter packets, and another address by the toolstack'
head -c 2000000 /dev/urandom >/tmp/sent
mkfifo /tmp/said-toolstack
nc $ip 7 </tmp/said-toolstack >/tmp/came &
kept=$!
exec 3>/tmp/said-toolstack
head -c 1000 /tmp/sent >&3
came() { [ "$(wc -c </tmp/came)" = "$1" ]; }
within 20 came 1000 || fail 'no echo'
xl network-detach peer 0 || fail 'network-detach'
# shellcheck disable=SC2046 # words
xl network-attach peer $(vif 04) mtu=1280 || fail 'network-attach'
wait_console peer 'MTU 1280'
tail -c +1001 /tmp/sent >&3
within 60 came 2000000 || fail "the connection did not survive: $(wc -c </tmp/came) bytes came"
cmp /tmp/came /tmp/sent || fail 'the echo differs'
exec 3>&-
kill $kept 2>/dev/null || true
assert_console peer 'link up, 00:16:3e:00:17:02, MTU 1280'
assert_console peer 'says 00:16:3e:00:17:04 now'
assert_equal 0 "$(nc $ip 17 | sed -n 's/.* \([0-9]*\) lies.*/\1/p')" 'lies of the backend'

xl shutdown peer
assert_shutdown peer poweroff
destroy peer
ip link set xenbr17 down
brctl delbr xenbr17
