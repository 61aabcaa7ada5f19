# The key-value server with its log on a disk: what clients were told is there after its domain was
# destroyed in the middle of work, however often.
# images: kv
# programs: witness
# limit: 600

ip=10.0.2.26
truncate -s 64M /tmp/kv-log
loop=$(losetup -f)
losetup "$loop" /tmp/kv-log || fail losetup

redis() { timeout 120 /bin/redis-cli -h $ip "$@"; }
witness() { timeout 480 /share/programs/witness "$@"; }

start() { # POLICY
    create served kv memory=64 'vif=["script=vif-rig,bridge=xenbr0"]' "disk=[\"phy:$loop,xvda,w\"]" \
        "cmdline=\"--ipv4=$ip/24 --disk=data:xvda --appendfsync=$1\""
    wait_console served 'kv on port 6379' 60
}

# Rounds under a policy; answers of this many seconds before the end may be lost.
crashes() { # POLICY LENIENCE ROUNDS
    round=0
    while [ $round -lt "$3" ]; do
        round=$((round + 1))
        /share/programs/witness tell $ip 6379 /tmp/history 60 4 4 >/tmp/told 2>&1 &
        client=$!
        # At any moment of it; and now and then while the log is being written anew.
        sleep 0.$((round * 37 % 90 + 10))
        [ $((round % 2)) = 1 ] || redis bgrewriteaof >/dev/null
        sleep $((round % 3)).$((round * 53 % 90 + 10))
        destroy served
        # It may have ended by itself, with its connections.
        kill $client 2>/dev/null || :
        wait $client || :
        start "$1"
        note "$1, round $round: $(cat /tmp/told); $(console served | grep 'disk data' | tail -n 1 | sed 's/.*disk data: //')"
        witness check $ip 6379 /tmp/history "$2" >/tmp/differ || fail "round $round: $(cat /tmp/differ)"
        total=$((total + $(sed -n 's/ answered$//p' /tmp/told)))
    done
}

total=0
rm -f /tmp/history
start always
crashes always 0 "${ALWAYS:-3}"
[ "$total" -gt 0 ] || fail 'no request was served'

# What users of redis expect.
assert_equal OK "$(redis save)" 'save'
redis info persistence >/tmp/info
grep -q '^aof_enabled:1' /tmp/info || fail "info: $(cat /tmp/info)"
grep -q '^aof_last_write_status:ok' /tmp/info || fail "info: $(cat /tmp/info)"
assert_equal 'Background append only file rewriting started' "$(redis bgrewriteaof)" 'bgrewriteaof'
[ "$(redis lastsave)" -gt 0 ] || fail "lastsave: $(redis lastsave)"
destroy served

start everysec
crashes everysec 1 "${EVERYSEC:-1}"
destroy served

# An end in good order loses nothing under any policy.
start no
redis set last word >/dev/null
xl shutdown served
assert_shutdown served poweroff 40
destroy served
start everysec
assert_equal word "$(redis get last)" 'the last word'
destroy served
note "$total changes told, none lost"
losetup -d "$loop"
