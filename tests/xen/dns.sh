# The DNS server on real Xen: dig over both transports, and dnsperf, which loses nothing.
# images: dns

ip=10.0.2.24
create served dns memory=64 'vif=["script=vif-rig,bridge=xenbr0"]' "cmdline=\"--ipv4=$ip/24\""
wait_console served 'dns on port 53 of .*example.org' 20

ask() { /bin/dig @$ip +short +tries=2 +time=5 "$@" | tr '\n' ' '; }
assert_equal '192.0.2.1 ' "$(ask example.org A)" 'an address'
assert_equal 'example.org. 192.0.2.1 ' "$(ask www.example.org A)" 'an alias'
assert_equal '192.0.2.80 ' "$(ask any.pages.example.org A)" 'a wildcard'
assert_equal 'mail.example.org. ' "$(ask -x 192.0.2.25)" 'a reverse name'
assert_equal '10 mail.example.org. 20 mail.example.net. ' "$(ask +tcp example.org MX)" 'TCP'
assert_equal 6 "$(/bin/dig @$ip +short longer.example.org TXT | grep -c '^"')" 'strings of a long answer'
/bin/dig @$ip nobody.example.org | grep -q 'status: NXDOMAIN' || fail 'a missing name'
/bin/dig @$ip example.net | grep -q 'status: REFUSED' || fail 'a foreign name'

printf '%s\n' 'example.org A' 'www.example.org A' 'nobody.example.org A' 'example.org MX' >/tmp/queries
for way in udp tcp; do
    /bin/dnsperf -s $ip -m $way -d /tmp/queries -c 2 -q 20 -l 3 >/tmp/dnsperf 2>&1 || fail "dnsperf: $(cat /tmp/dnsperf)"
    cat /tmp/dnsperf
    grep -q 'Queries lost: *0 ' /tmp/dnsperf || fail "queries are lost over $way"
    note "$way: $(sed -n 's/^ *Queries per second: *//p' /tmp/dnsperf) queries/s"
done

xl shutdown served
assert_shutdown served poweroff
