# shellcheck shell=bash
# examples/kv, with redis's own programs.

redis() { timeout 60 redis-cli -h $stack "$@"; }
says() { # EXPECTED COMMAND...
    local expected=$1 found
    shift
    found=$(redis "$@" 2>&1)
    [ "$found" = "$expected" ] || { echo "$*: expected '$expected', found '$found'" && return 1; }
}

kv_commands() {
    says PONG ping && says hello echo hello && says OK flushall || return
    says OK set greeting 'two words' && says 'two words' get greeting && says '' get nothing || return
    says OK set '' '' && says '' get '' || return
    says 1 incr counter && says 11 incrby counter 10 && says 10 decr counter || return
    says 2 exists greeting counter nothing || return
    says $'two words\n\n10' mget greeting nothing counter || return
    says 3 dbsize && says 2 del greeting counter nothing && says 1 dbsize
}
kv_wrong_commands() {
    says "ERR unknown command 'FROBNICATE'" frobnicate || return
    # An error is one line, whatever it repeats.
    says "ERR unknown command 'A??-B?'" $'a\r\n-b\x01' && says PONG ping || return
    says "ERR wrong number of arguments for 'get' command" get || return
    says "ERR wrong number of arguments for 'set' command" set key || return
    says 'ERR syntax error' set key value often && says 'ERR keys do not expire here' set key value ex 10 || return
    says OK set word hello && says 'ERR value is not an integer or out of range' incr word || return
    for number in 0x10 +1 1_000 007 -0 '' 9223372036854775808; do
        says 'ERR value is not an integer or out of range' incrby number "$number" || return
    done
    says OK set number 9223372036854775807 && says 'ERR value is not an integer or out of range' incr number
}
# What clients ask when they connect, and tools: what is confirmed is true.
kv_what_clients_ask() {
    says 'NOPROTO only version 2 of the protocol is spoken here' hello 3 || return
    redis hello 2 | grep -qx mirust-kv && says OK select 0 && says 'ERR DB index is out of range: there is one, 0' select 1 || return
    says OK client setname me && says '' client getname && says OK client setinfo lib-name test || return
    [ "$(printf '%s\n' 'client setname me' 'client getname' reset 'client getname' | redis)" = $'OK\nme\nRESET' ] || return
    says OK client no-touch on && says OK client no-evict off && says 'ERR any client may have to make room for others here' client no-evict on || return
    redis client no-touch x 2>&1 | grep -q '^ERR unknown subcommand' && redis client setinfo x y 2>&1 | grep -q '^ERR unknown subcommand' || return
    # In whatever letters, and with what newer clients say at once.
    says OK flushall Async && says 'ERR syntax error' flushall now && says $'databases\n1' config Get databases || return
    redis command Count | grep -q '^[1-9]' && says '' command docs get && says "ERR unknown subcommand or arguments of COMMAND: 'getkeys'" command getkeys get a || return
    says 'ERR of patterns CONFIG GET knows only *' config get 'max*' && redis config get '*' | grep -qx databases && says 'ERR syntax error' bgsave often || return
    [ "$(printf '%s\n' 'hello 2 SetName me' 'client getname' | redis | tail -n 1)" = me ] || return
    says 'ERR there are neither users nor passwords here' hello 2 auth me word && says 'NOPROTO only version 2 of the protocol is spoken here' hello 3 setname me || return
    redis client reply off 2>&1 | grep -q '^ERR unknown subcommand' || return
    redis config get save maxmemory | tr '\n' ' ' | grep -qE '^maxmemory [0-9]+ save  ?$' || { redis config get save maxmemory && return 1; }
    redis config set maxmemory 1 2>&1 | grep -q '^ERR' || return
    redis flushall && redis set here 12345 || return
    says 5 strlen here && says string type here && says none type gone && says -1 ttl here && says -2 ttl gone || return
    says '' set here other nx && says OK set here 7 xx && says 2 decrby here 5 && says 1 unlink here || return
    redis info >"$work/info" && grep -q '^uptime_in_seconds:[0-9]' "$work/info" && grep -q '^aof_enabled:0' "$work/info" || return
    redis set here 1 && [ "$(redis info keyspace | tr -d '\r')" = $'# Keyspace\ndb0:keys=1,expires=0,avg_ttl=0' ]
}
# A first word of less than three bytes, or of none, each on a new connection, whose buffer ends with it. Others follow.
kv_short_words() {
    local request
    for request in 'a\r\n' 'a\n' 'ab\n' '*1\r\n$1\r\na\r\n' '*1\r\n$0\r\n\r\n'; do
        exec 3<>"/dev/tcp/$stack/6379" && printf '%b' "$request" >&3 || return
        timeout 60 head -n 1 <&3 | tee /dev/stderr | grep -aqE "^-ERR unknown command '(A|AB|)'"$'\r$' || return
        printf '*-1\r\nPING\r\n' >&3 && timeout 60 head -c 7 <&3 | cmp - <(printf '+PONG\r\n') || return
        exec 3>&-
    done
}
# Behind a large request comes a pipeline that always has a next one's beginning: what the large one needed is given up.
kv_pipelines_behind_large_requests() {
    local i fd fds=() before after
    for i in 1 2 3; do printf '$1000000\r\n' && head -c 1000000 /dev/zero && printf '\r\n'; done >"$work/strings"
    { printf '*4\r\n$3\r\nDEL\r\n' && cat "$work/strings" && printf '*'; } >"$work/requests"
    for i in $(seq 1000); do printf '1\r\n$4\r\nPING\r\n*'; done >>"$work/requests"
    { printf ':0\r\n' && for i in $(seq 1000); do printf '+PONG\r\n'; done; } >"$work/answers"
    before=$(resident)
    for i in $(seq 30); do
        exec {fd}<>"/dev/tcp/$stack/6379" && fds+=("$fd") && cat "$work/requests" >&"$fd" || return
        timeout 60 head -c "$(stat -c %s "$work/answers")" <&"$fd" | cmp - "$work/answers" || return
    done
    after=$(resident)
    for fd in "${fds[@]}"; do exec {fd}>&-; done
    # Their buffers were more than 90 MB together.
    echo "$before KiB, and then $after" && [ $((after - before)) -lt 50000 ]
}
# What redis-cli sends in one go, ends with an answer to the last of it; and a pipeline is answered the same wherever it
# is cut.
kv_in_bulk() {
    local i cut
    redis flushall || return
    for i in $(seq 5000); do printf '*3\r\n$3\r\nSET\r\n$%d\r\nkey:%d\r\n$%d\r\n%d\r\n' $((4 + ${#i})) "$i" ${#i} "$i"; done >"$work/bulk"
    timeout 60 redis-cli -h $stack --pipe <"$work/bulk" | grep 'errors: 0, replies: 5000' || return
    says 5000 dbsize && says 4711 get key:4711 || return
    printf 'set a 1\r\n*2\r\n$3\r\nGeT\r\n$8\r\nkey:1234\r\nPING\r\n*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nset\r\n$1\r\nb\r\n$2\r\n\r\n\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\nincr a\r\n' >"$work/pipeline"
    printf '+OK\r\n$4\r\n1234\r\n+PONG\r\n+PONG\r\n+OK\r\n$2\r\n\r\n\r\n:2\r\n' >"$work/answers"
    for cut in $(seq 1 $(($(stat -c %s "$work/pipeline") - 1))); do
        exec 3<>"/dev/tcp/$stack/6379" || return
        head -c "$cut" "$work/pipeline" >&3
        # The two parts are to be two segments.
        sleep 0.005
        tail -c "+$((cut + 1))" "$work/pipeline" >&3
        timeout 60 head -c "$(stat -c %s "$work/answers")" <&3 | cmp - "$work/answers" || { echo "cut at $cut" && return 1; }
        exec 3>&-
    done
}
# Nobody sees anything of a transaction before EXEC; one that cannot be is void as a whole.
kv_transactions() {
    local found
    says OK flushall && says 'ERR EXEC without MULTI' exec && says 'ERR DISCARD without MULTI' discard || return
    found=$(printf '%s\n' multi 'set n 41' 'incr n' 'echo hello' 'set n' exec 'get n' | redis) || return
    [ "$found" = $'OK\nQUEUED\nQUEUED\nQUEUED\nQUEUED\nOK\n42\nhello\nERR wrong number of arguments for \'set\' command\n\n42' ] ||
        { echo "$found" && return 1; }
    found=$(printf '%s\n' multi multi 'set n 1' discard 'get n' multi 'set n 2' save exec 'get n' | redis) || return
    [ "$(tr '\n' ' ' <<<"$found" | tr -s ' ')" = 'OK ERR MULTI calls can not be nested QUEUED OK 42 OK QUEUED ERR SAVE is not for transactions EXECABORT Transaction discarded because of previous errors. 42 ' ] ||
        { echo "$found" && return 1; }
    # Its client alone changes, and only in the end; nor does one change anything that goes away.
    exec 3<>"/dev/tcp/$stack/6379"
    printf 'multi\r\nincr n\r\n' >&3 && sleep 0.2 && says 42 get n && says 43 incr n || return
    printf 'exec\r\n' >&3 && timeout 60 head -c 23 <&3 | tr -d '\r' | cmp - <(printf '+OK\n+QUEUED\n*1\n:44\n') || return
    printf 'multi\r\nincr n\r\n' >&3 && sleep 0.2 && exec 3>&- && says 44 get n || return
    # What is refused is repeated within one line.
    found=$(printf 'multi\n"a\\r\\n+b"\ndiscard\n' | redis) && [ "$found" = $'OK\nERR A??+B is not for transactions\n\nOK' ] || { echo "$found" && return 1; }
    # It takes no more than its 4 KiB.
    found=$({ echo multi; yes 'incr n' | head -n 100; echo exec; } | redis | grep -v '^$' | sort | uniq -c | tr -s ' \n' ' ')
    [[ $found == *EXECABORT* && $found == *'ERR the transaction is too large'* ]] || { echo "$found" && return 1; }
    says 44 get n
}
kv_binary_keys_and_values() {
    printf 'a\0b\r\nc' | redis -x set $'key\r\nwith lines' || return
    redis --raw get $'key\r\nwith lines' | cmp - <(printf 'a\0b\r\nc\n')
}
kv_large_values() {
    local file=$work/value
    head -c $((1 << 20)) /dev/urandom >"$file"
    # redis-cli adds a newline to what it shows.
    redis -x set large <"$file" && redis --raw get large >"$file.back" || return
    cmp -n $((1 << 20)) "$file.back" "$file" || return
    # One byte above the bound loses its connection, and nothing else; and one whose client reads nothing before it has
    # sent all is still told why.
    echo >>"$file"
    ! redis -x set larger <"$file" | grep OK || return
    exec 3<>"/dev/tcp/$stack/6379" || return
    { printf '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$20000000\r\n' && head -c 20000002 /dev/zero; } >&3 || return
    sleep 0.2
    timeout 60 cat <&3 | tee /dev/stderr | grep -a 'ERR Protocol error' || return
    exec 3>&-
    says '' get larger && redis --raw get large >"$file.back" && cmp -n $((1 << 20)) "$file.back" "$file"
}
# Many large answers are asked for at once, and are not read: they are made as they are sent.
kv_answers_that_nobody_reads() {
    local i
    head -c $((1 << 20)) /dev/zero | redis -x set large || return
    exec 3<>"/dev/tcp/$stack/6379"
    for i in $(seq 1000); do printf '*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n'; done >&3
    sleep 0.5
    says PONG ping && [ "$(resident)" -lt 200000 ]
    local status=$?
    head -c $((3 << 20)) <&3 | wc -c
    exec 3>&-
    return $status
}
kv_nonsense() {
    head -c 100000 /dev/urandom >"/dev/tcp/$stack/6379"
    printf '*1000000\r\n' >"/dev/tcp/$stack/6379"
    says PONG ping
}
kv_load() { # ARGUMENT...
    timeout 300 redis-benchmark -h $stack -n 50000 -c 50 --csv "$@" >"$work/benchmark" 2>&1
    cat "$work/benchmark"
    [ "$(grep -cE '^"(SET|GET|INCR)' "$work/benchmark")" = 3 ] || return
    sed -nE 's/^"(SET|GET|INCR)","([0-9.]*)".*/NOTE: \1 \2 requests\/s/p' "$work/benchmark"
}
kv_benchmark() { kv_load -t set,get,incr; }
kv_benchmark_pipelined() { kv_load -t set,get,incr -P 16; }
kv_benchmark_random_keys() {
    redis flushall || return
    kv_load -t set,get,incr -r 1000 -d 1000 -P 16 && [ "$(redis dbsize)" -gt 900 ]
}

# A transaction one request of which is refused, because others hold the memory for requests, changes nothing: its
# client is told at that request and at EXEC, and what the transaction had reserved is free again.
kv_transaction_without_memory() {
    local keys found i
    needs redis-cli || return
    # shellcheck disable=SC2086
    start kv $addresses --network-memory=1M
    reachable && within 10 redis ping || return
    # A twentieth of a MiB, 52428 bytes, is for requests. One that does not end holds 44 kB of them: 8 kB are left, for
    # a transaction (4 kB), and not for ninety words besides.
    exec 3<>"/dev/tcp/$stack/6379" || return
    { printf '*3\r\n$3\r\nSET\r\n$4\r\nheld\r\n$45000\r\n' && head -c 44000 /dev/zero; } >&3
    sleep 0.5
    keys=$(seq -s ' ' 90)
    # More often than the memory would do for it, if each kept its own.
    for i in $(seq 20); do
        found=$(printf '%s\n' multi "set n $i" "del $keys" 'set m 1' exec | redis | grep -v '^$' | tr '\n' ';')
        [ "$found" = 'OK;QUEUED;OOM too many large requests at a time;QUEUED;EXECABORT Transaction discarded because of previous errors.;' ] ||
            { echo "$i: $found" && return 1; }
    done
    says 0 exists n m && says 0 dbsize || return
    exec 3>&-
    # The whole of the memory, as before.
    within 5 sh -c "head -c 40000 /dev/zero | timeout 60 redis-cli -h $stack -x set large | grep -q OK" || return
    # shellcheck disable=SC2086 # words
    says 0 del $keys || return
    found=$(printf '%s\n' multi 'set n 1' 'incr n' exec | redis | grep -v '^$' | tr '\n' ';')
    [ "$found" = 'OK;QUEUED;QUEUED;OK;2;' ] || { echo "$found" && return 1; }
    stop
}

# One that can never fit is told so when its length is known, and not after a wait for memory; one that fits waits while
# others have the memory.
kv_requests_larger_than_the_memory() {
    local i found
    needs redis-cli || return
    # shellcheck disable=SC2086
    start kv $addresses --network-memory=1M
    reachable && within 10 redis ping || return
    # Of 52428 bytes. It has sent a part of the value only.
    for i in '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$60000\r\nabc' '*3\r\n$3\r\nSET\r\n$30000\r\n'"$(head -c 30000 /dev/zero | tr '\0' k)"'\r\n$30000\r\nabc'; do
        exec 3<>"/dev/tcp/$stack/6379" && printf '%b' "$i" >&3 || return
        found=$(timeout 60 head -n 1 <&3 | tr -d '\r')
        [ "$found" = '-OOM a request of this size never fits into the memory for requests' ] || { echo "'$found'" && return 1; }
        exec 3>&-
    done
    # A line's length is not known before it has come.
    exec 3<>"/dev/tcp/$stack/6379" && { head -c 60000 /dev/zero | tr '\0' x; } >&3 || return
    timeout 60 head -n 1 <&3 | grep '^-OOM a request of this size never fits' || return
    exec 3>&-
    exec 3<>"/dev/tcp/$stack/6379" || return
    { printf '*3\r\n$3\r\nSET\r\n$4\r\nheld\r\n$45000\r\n' && head -c 44000 /dev/zero; } >&3
    sleep 0.5
    (exec 3>&- && head -c 40000 /dev/zero | timeout 60 redis-cli -h $stack -x set large) >"$work/answer" &
    sleep 1
    [ ! -s "$work/answer" ] && exec 3>&- && wait $! && [ "$(cat "$work/answer")" = OK ] || { cat "$work/answer" && return 1; }
    stop
}

# A page in somebody's browser can have it send what it likes to any address, as the body of a request.
kv_refuses_browsers() {
    local head
    for head in 'POST / HTTP/1.1\r\n\r\n' 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' 'MULTI\r\nhost: x\r\n'; do
        says OK set word safe && exec 3<>"/dev/tcp/$stack/6379" || return
        printf "${head}SET word taken\r\nEXEC\r\n" >&3
        timeout 60 cat <&3 | grep '^-ERR this is not HTTP' || return
        exec 3>&-
        says safe get word || return
    done
}

group kv kv_commands kv_wrong_commands kv_what_clients_ask kv_short_words kv_refuses_browsers kv_pipelines_behind_large_requests kv_in_bulk kv_transactions kv_binary_keys_and_values kv_large_values kv_answers_that_nobody_reads \
    kv_nonsense kv_benchmark kv_benchmark_pipelined kv_benchmark_random_keys
alone kv_transaction_without_memory kv_requests_larger_than_the_memory
