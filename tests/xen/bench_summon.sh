# From a request to the first octet of its response through mirust-summon, which has to start the domain for it: ours by
# booting, by restoring what was saved, and by restoring a warm state; a Linux guest with busybox's httpd by booting.
# images: http
# programs: mirust-summon
# linux: yes
# limit: 400

runs=3
first_octet() { # PORT
    /bin/curl --silent --show-error --fail --max-time 300 --output /tmp/page --write-out '%{time_starttransfer}' \
        "http://127.0.0.1:$1/" >/tmp/took 2>/tmp/curl || fail "no page at $1: $(cat /tmp/curl); $(cat /tmp/summon.log)"
    awk '{ print int($1 * 1000) }' /tmp/took
}
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
sleeps() { [ "$(grep -c ": asleep" /tmp/summon.log)" -ge "$1" ]; }
ratio() { awk "BEGIN { printf \"%.3f\", $1 / $2 }"; }

brctl addbr xenbr15
ip addr add 10.15.0.1/24 dev xenbr15
ip link set xenbr15 up
configuration() { # NAME IMAGE MEMORY HOST CMDLINE
    cat <<CFG
name = "$1"
type = "pvh"
kernel = "$images/$2.elf"
memory = $3
shadow_memory = 8
vif = ["mac=00:16:3e:00:15:0$4,script=vif-rig,bridge=xenbr15"]
cmdline = "$5"
CFG
}
configuration ours http 24 2 '--ipv4=10.15.0.2/24 -l error' >/tmp/ours.cfg
{
    configuration linux linux 256 3 \
        'console=hvc0 quiet mitigations=off random.trust_cpu=on rootfstype=ramfs rdinit=/linux-guest rig.address=10.15.0.3/24'
    echo "ramdisk = \"$images/linux.cpio\""
} >/tmp/linux.cfg
table() { # ASLEEP [LINE]
    cat <<TOML
[summon]
state = "/tmp/summon"

[domain.ours]
config = "/tmp/ours.cfg"
listen = "127.0.0.1:8014"
target = "10.15.0.2:80"
idle = "2s"
asleep = "$1"
hold = "60s"
${2:-}

[domain.linux]
config = "/tmp/linux.cfg"
listen = "127.0.0.1:8015"
target = "10.15.0.3:80"
hold = "5m"
TOML
}
serve() { # ASLEEP [LINE]
    table "$@" >/tmp/summon.toml
    /share/programs/mirust-summon --config /tmp/summon.toml 2>/tmp/summon.log &
    summon=$!
    within 20 grep -q 'domains are served' /tmp/summon.log || fail "$(cat /tmp/summon.log)"
}

# The state of its own last sleep, and a fixed one: the same file, when it is kept.
measure() { # FILE
    for run in $(seq $runs); do
        first_octet 8014 >>"$1"
        within 60 sleeps "$run" || fail "it does not go to sleep: $(cat /tmp/summon.log)"
    done
}
serve destroy
measure /tmp/cold
linux=$(first_octet 8015)
kill $summon
wait $summon || true
destroy linux

serve save
first_octet 8014 >/dev/null
within 60 sleeps 1 || fail "it does not go to sleep: $(cat /tmp/summon.log)"
kill $summon
wait $summon || true
mv /tmp/summon/ours.saved /tmp/warm
serve destroy 'warm = "/tmp/warm"'
measure /tmp/restored
first_octet 8014 >/dev/null
for _ in $(seq $runs); do first_octet 8014 >>/tmp/running; done
kill $summon
wait $summon || true
destroy ours
cold=$(median /tmp/cold)
note "request to first octet: $cold ms by booting, $(median /tmp/restored) ms by restoring," \
    "$(median /tmp/running) ms when it runs; a Linux guest by booting $linux ms, ratio $(ratio "$cold" "$linux")"
