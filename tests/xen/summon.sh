# mirust-summon on real Xen: the first request boots the domain, later ones meet it running, and after a time without
# any it is saved and restored, with the connections that it had. How long each takes is for people to see.
# images: http
# programs: mirust-summon
# limit: 240

at=http://127.0.0.1:8014/
state=/tmp/summon
# In milliseconds, from the request to the first octet of the response.
first_octet() {
    /bin/curl --silent --show-error --fail --max-time 240 --output /tmp/page --write-out '%{time_starttransfer}' $at \
        >/tmp/took 2>/tmp/curl || fail "no page: $(cat /tmp/curl); $(cat /tmp/summon.log)"
    grep -q . /tmp/page || fail 'an empty page'
    awk '{ print int($1 * 1000) }' /tmp/took
}
has_said() { grep -q -e "$1" /tmp/summon.log; }
said() { # PATTERN [SECONDS]
    within "${2:-30}" has_said "$1" || fail "mirust-summon did not say '$1': $(cat /tmp/summon.log)"
}

# How long it may be idle from now on. On a busy machine no step may come so late that it sleeps already.
reloads=0
has_reloaded() { [ "$(grep -c 'served from now on' /tmp/summon.log)" = $reloads ]; }
idle() { # TIME
    reloads=$((reloads + 1))
    sed -i "s/^idle = .*/idle = \"$1\"/" /tmp/summon.toml
    kill -HUP $summon
    within 30 has_reloaded || fail "the configuration is not read again: $(cat /tmp/summon.log)"
}

brctl addbr xenbr14
ip addr add 10.14.0.1/24 dev xenbr14
ip link set xenbr14 up
cat >/tmp/summoned.cfg <<CFG
name = "whatever"
type = "pvh"
kernel = "$images/http.elf"
memory = 24
shadow_memory = 8
vif = ["mac=00:16:3e:00:14:02,script=vif-rig,bridge=xenbr14"]
cmdline = "--ipv4=10.14.0.2/24"
CFG
sed "s,^kernel.*,kernel = \"$images/none.elf\"," /tmp/summoned.cfg >/tmp/broken.cfg
cat >/tmp/summon.toml <<TOML
[summon]
state = "$state"
metrics = "127.0.0.1:9014"

[domain.summoned]
config = "/tmp/summoned.cfg"
listen = "127.0.0.1:8014"
target = "10.14.0.2:80"
idle = "1h"
hold = "2m"
asleep = "save"

[domain.broken]
config = "/tmp/broken.cfg"
listen = "127.0.0.1:8015"
target = "10.14.0.3:80"
TOML
/share/programs/mirust-summon --config /tmp/summon.toml --check || fail '--check'
/share/programs/mirust-summon --config /tmp/summon.toml --verbose 2>/tmp/summon.log &
summon=$!
said '2 domains are served'
assert_equal '' "$(state summoned)" 'a domain that nobody asked for'

echo '-- a domain that cannot be created'
if /bin/curl --silent --max-time 120 --output /dev/null http://127.0.0.1:8015/; then fail 'somebody answers'; fi
said 'error: broken: xl create failed'

echo '-- from nothing'
cold=$(first_octet)
running=$(first_octet)

echo '-- a connection that is kept'
mkfifo /tmp/said-summon
{ nc 127.0.0.1 8014 </tmp/said-summon >/tmp/kept 2>&1 || true; echo yes >/tmp/ended; } &
exec 3>/tmp/said-summon
pages() { [ "$(grep -c '^HTTP/1.1 200' /tmp/kept)" = "$1" ]; }
printf 'GET / HTTP/1.1\r\nHost: there\r\n\r\n' >&3
within 10 pages 1 || fail "no page: $(cat /tmp/kept)"
# Renaming it does not keep it awake, and it gets its name back.
xl rename summoned other || fail 'xl rename'
idle 1s
said 'summoned: asleep' 60
assert_equal '' "$(state other)" 'a saved domain'
assert_equal '' "$(state summoned)" 'a saved domain'
size=$(stat -c %s $state/summoned.saved)

echo '-- from the saved state'
idle 1h
restored=$(first_octet)
printf 'GET / HTTP/1.1\r\nHost: there\r\n\r\n' >&3
within 20 pages 2 || fail "the connection did not live on: $(cat /tmp/kept /tmp/summon.log)"
/bin/curl --silent http://127.0.0.1:9014/metrics | grep '^mirust_summon_.*summoned' >/tmp/metrics
grep -q 'starts_total{domain="summoned",how="saved"} 1$' /tmp/metrics || fail "$(cat /tmp/metrics)"
[ ! -e $state/summoned.saved ] || fail 'a state that was used is still there'

echo '-- a death with somebody connected'
# By another name, too.
xl rename summoned other || fail 'xl rename'
/bin/curl --silent --max-time 240 --output /tmp/page $at || fail 'no page under another name'
xl destroy other
within 20 grep -q 'summoned: has ended' /tmp/summon.log || fail "a death is not noticed: $(cat /tmp/summon.log)"
within 10 test -s /tmp/ended || fail 'the client hears nothing of it'
exec 3>&-

echo '-- another name, and a restart at once'
/bin/curl --silent --show-error --fail --max-time 240 --output /tmp/page $at || fail 'no page after a death'
created=$(grep -c 'summoned: created' /tmp/summon.log)
xl rename summoned other || fail 'xl rename'
before=$(domid other)
xl reboot other || fail 'xl reboot'
has_restarted() { again=$(domid other 2>/dev/null) && [ "$again" != "$before" ]; }
within 60 has_restarted || fail 'xl does not start it again'
/bin/curl --silent --show-error --fail --max-time 240 --output /tmp/page $at || fail 'no page after a restart'
assert_equal "$created" "$(grep -c 'summoned: created' /tmp/summon.log)" 'domains that were created'
has_said 'summoned: has started anew' || fail 'it is not recognised'
xl destroy other

kill $summon
wait $summon || fail "mirust-summon ends with $?"
cat /tmp/summon.log
note "request to first octet through mirust-summon: $cold ms by booting, $restored ms by restoring $size bytes," \
    "$running ms when it runs"
