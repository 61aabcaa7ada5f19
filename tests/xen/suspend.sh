# Saved and restored, copied, migrated and paused with connections open: every byte arrives, time away is no time, and
# two domains that are made of one copy draw different numbers. A refusal keeps the domain as it is.
# images: disk peer
# programs: client
# limit: 500

client() { timeout 480 /share/programs/client "$@"; }
ip=10.1.4.2 mac=00:16:3e:00:04:02 saved=/share/saved

# Mapped guest pages cannot be written to the share directly, and dom0's memory has no room for them.
save() { # NAME [-c]
    rm -f /tmp/fifo
    mkfifo /tmp/fifo
    cat /tmp/fifo >$saved &
    pipe=$!
    # shellcheck disable=SC2086 # no flag is no argument
    xl save ${2:-} "$1" /tmp/fifo >/tmp/save 2>&1 || fail "xl save ${2:-}: $(tail -n 3 /tmp/save)"
    wait $pipe
}
restore() {
    rm -f /tmp/fifo
    mkfifo /tmp/fifo
    cat $saved >/tmp/fifo &
    xl restore -e /tmp/fifo >/tmp/restore 2>&1 || fail "xl restore: $(tail -n 3 /tmp/restore)"
}

backs() { console "$1" | grep -c '^back: ' || true; }
back_again() { [ "$(backs "$1")" -gt "$2" ]; }
# What the last return was like.
last_back() { console "$1" | grep '^back: ' | tail -n 1; }
# A domain that is moved is first called so, and its console is logged under that name.
incoming=peer--incoming

# through WHAT COMMAND: a transfer is under way while the command runs, and all of it arrives.
through() {
    line=$1
    echo "-- $line"
    begun=$(passed peer tx)
    client echo $ip 7 16000000 1 >/tmp/transfer 2>&1 &
    transfer=$!
    before=$(backs peer)
    wait_passed peer tx $((begun + 500000))
    "$2"
    wait $transfer || fail "the transfer did not survive $line: $(cat /tmp/transfer)"
    cat /tmp/transfer
    echo "$line" >&3
    within 20 grep -q "$line" /tmp/kept || fail "the connection that was kept did not survive $line"
}

brctl addbr xenbr4
ip addr add 10.1.4.1/24 dev xenbr4
ip link set xenbr4 up
# Without a number of vCPUs xl gives too few pages for the tables of a domain that comes without large pages.
create peer peer vcpus=1 "vif=[\"mac=$mac,script=vif-rig,bridge=xenbr4\"]" "cmdline=\"--ipv4=$ip/24\""
wait_console peer '^ready' 20

mkfifo /tmp/said-suspend
nc $ip 7 </tmp/said-suspend >/tmp/kept &
kept=$!
exec 3>/tmp/said-suspend
echo first >&3
within 10 grep -q first /tmp/kept || fail 'no echo'

save_and_restore() {
    save peer
    restore
    within 40 back_again peer "$before" || fail 'nobody tells the program'
    last_back peer | grep -q 'monotonic [0-9]\{1,4\} ms, elsewhere' || fail "$(last_back peer)"
    note "$(last_back peer | cut -d, -f1,2); $(stat -c %s $saved) bytes saved"
}
through 'save and restore' save_and_restore

copy() {
    save peer -c
    within 40 back_again peer "$before" || fail 'nobody tells the program'
    last_back peer | grep -q ', here' || fail "$(last_back peer)"
}
through 'a copy' copy
drawn=$(last_back peer | sed 's/.*drew //')

migrate() {
    # Without a command for another host the rest is one for this.
    xl migrate -s '' peer 'xl migrate-receive' >/tmp/migrate 2>&1 || fail "xl migrate: $(tail -n 3 /tmp/migrate)"
    within 40 back_again $incoming 0 || fail 'nobody tells the program'
    last_back $incoming | grep -q ', elsewhere' || fail "$(last_back $incoming)"
}
through 'migration' migrate

hold_still() {
    xl pause peer
    sleep 5
    xl unpause peer
}
through 'a pause' hold_still

exec 3>&-
kill $kept 2>/dev/null || true
assert_console peer 'about to be suspended'
if { console peer; console $incoming; } | grep -q 'suspend refused\|lies\b.*[1-9]'; then fail 'something went wrong'; fi

echo '-- two domains of one copy'
# The copy was taken before the migration.
destroy peer
wait_gone peer
before=$(backs peer)
restore
within 40 back_again peer "$before" || fail 'the copy does not go on'
other=$(last_back peer | sed 's/.*drew //')
before=$(backs peer)
destroy peer
wait_gone peer
restore
within 40 back_again peer "$before" || fail 'the copy does not go on twice'
third=$(last_back peer | sed 's/.*drew //')
[ "$drawn" != "$other" ] && [ "$other" != "$third" ] || fail "the same numbers: $drawn $other $third"
client echo $ip 7 1000000 1 || fail 'the copy does not answer'
xl shutdown peer
assert_shutdown peer poweroff
destroy peer
rm $saved

echo '-- a refusal'
create peer peer "vif=[\"mac=$mac,script=vif-rig,bridge=xenbr4\"]" "cmdline=\"--ipv4=$ip/24 --refuse=not-now\""
wait_console peer '^ready' 20
# As the toolstack would; it would wait for a minute.
xenstore-write "$(path peer)/control/shutdown" suspend
wait_console peer 'suspend refused: not-now'
wait_console peer '^back: away 0 ms, .* here'
assert_equal suspend "$(xenstore-read "$(path peer)/control/shutdown")" 'a refused suspend'
assert_equal 1 "$(xenstore-read "$(path peer)/control/feature-suspend")" 'what is announced'
client echo $ip 7 100000 1 || fail 'a refusal ends the network'
destroy peer

echo '-- a disk'
truncate -s 4M /tmp/data
loop=$(losetup -f)
losetup "$loop" /tmp/data
create hold disk vcpus=1 "disk=[\"phy:$loop,xvda,w\"]" 'cmdline="hold --disk=data:xvda"'
wait_console hold '^holding'
# Requests are under way when many have ended.
ended() { awk '{ print $1 + $5 }' "/sys/block/${loop#/dev/}/stat"; }
have_ended() { [ "$(ended)" -ge "$1" ]; }
wait_requests() { within 20 have_ended $(($(ended) + 50)) || fail 'the disk is not used'; }
wait_requests
save hold
restore
within 40 back_again hold 0 || fail 'nobody tells the program'
wait_requests
save hold -c
within 40 back_again hold 1 || fail 'nobody tells the program'
rm $saved
wait_requests
xl shutdown hold
assert_shutdown hold poweroff 40
assert_console hold '^held: .* 2 connections, 0 issued again, 0 lies'
note "$(console hold | grep '^held')"
destroy hold
losetup -d "$loop"
rm /tmp/data
ip link set xenbr4 down
brctl delbr xenbr4
