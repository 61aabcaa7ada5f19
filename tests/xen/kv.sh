# The key-value server on real Xen, with redis's own programs.
# images: kv

ip=10.0.2.25
create served kv memory=64 'vif=["script=vif-rig,bridge=xenbr0"]' "cmdline=\"--ipv4=$ip/24\""
wait_console served 'kv on port 6379' 20

redis() { timeout 80 /bin/redis-cli -h $ip "$@"; }
assert_equal PONG "$(redis ping)" 'ping'
assert_equal OK "$(redis set greeting 'two words')" 'set'
assert_equal 'two words' "$(redis get greeting)" 'get'
assert_equal 42 "$(redis incrby counter 42)" 'incrby'
assert_equal "ERR unknown command 'FROBNICATE'" "$(redis frobnicate 2>&1)" 'a wrong command'
head -c 1000000 /dev/urandom >/tmp/value
assert_equal OK "$(redis -x set large </tmp/value)" 'set of a megabyte'
redis --raw get large | head -c 1000000 | cmp - /tmp/value || fail 'the megabyte differs'

timeout 160 /bin/redis-benchmark -h $ip -n 4000 -c 20 -P 16 -t set,get,incr --csv >/tmp/benchmark 2>&1 ||
    fail "redis-benchmark: $(cat /tmp/benchmark)"
cat /tmp/benchmark
assert_equal 3 "$(grep -cE '^"(SET|GET|INCR)"' /tmp/benchmark)" 'kinds of requests'
note "requests/s, pipelined: $(sed -nE 's/^"(SET|GET|INCR)","([0-9.]*)".*/\1 \2/p' /tmp/benchmark | tr '\n' ' ')"

xl shutdown served
assert_shutdown served poweroff
