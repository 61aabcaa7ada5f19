# shellcheck shell=bash
# examples/dns, with dig and dnsperf.

ask() { dig @$stack +norecurse +noall +nocookie +tries=1 +time=20 "$@"; }
answers() { ask +answer +short "$@" | sort | tr '\n' ' '; }
is() { # EXPECTED FOUND
    [ "$1" = "$2" ] || { echo "expected '$1', found '$2'" && return 1; }
}
# What dig says of a response: status, flags and counts.
status() { ask +comments "$@" | sed -n 's/.*status: \([A-Z]*\),.*/\1/p;s/.*;; flags: \(.*\); QUERY.*/\1/p' | tr '\n' ' '; }

dns_types() {
    is '192.0.2.1 ' "$(answers example.org A)" || return
    is '2001:db8::1 ' "$(answers example.org AAAA)" || return
    is 'ns1.example.org. ns2.example.org. ' "$(answers example.org NS)" || return
    is '10 mail.example.org. 20 mail.example.net. ' "$(answers example.org MX)" || return
    is 'ns1.example.org. hostmaster.example.org. 2026010101 7200 1800 1209600 300 ' "$(answers example.org SOA)" || return
    is '"v=spf1 mx -all" ' "$(answers example.org TXT)" || return
    is '"two" "strings; one with a \"quote\"" ' "$(answers note.example.org TXT)" || return
    is '0 5 80 www.example.org. ' "$(answers _http._tcp.example.org SRV)" || return
    is '0 issue "ca.example.net" ' "$(answers example.org CAA)" || return
    is 'mail.example.org. ' "$(answers -x 192.0.2.25)" || return
    is 'example.org. ' "$(answers www.example.org CNAME)"
}
dns_aliases() {
    is '192.0.2.1 example.org. ' "$(answers www.example.org A)" || return
    is '192.0.2.80 today.pages.example.org. ' "$(answers blog.example.org A)" || return
    is 'round.example.org. circle.example.org. ' "$(ask +answer +short circle.example.org A | tr '\n' ' ')"
}
dns_wildcards() {
    is '192.0.2.80 ' "$(answers any.pages.example.org A)" || return
    is '192.0.2.81 ' "$(answers first.pages.example.org A)" || return
    ask +answer Any.Pages.example.org A | grep '^Any.Pages.example.org.'
}
dns_statuses() {
    is 'NOERROR qr aa ' "$(status example.org A)" || return
    is 'NOERROR qr aa ' "$(status ns2.example.org AAAA)" || return
    is 'NXDOMAIN qr aa ' "$(status nobody.example.org A)" || return
    ask +authority nobody.example.org A | grep 'SOA' || return
    is 'REFUSED qr ' "$(status example.net A)" || return
    is 'REFUSED qr ' "$(status version.bind CH TXT)" || return
    is 'REFUSED qr ' "$(status +tcp example.org AXFR)" || return
    is 'NOTIMP qr ' "$(status +opcode=STATUS example.org A)" || return
    # The bit that asks for recursion is repeated, and not obeyed.
    is 'NOERROR qr aa rd ' "$(status +recurse example.org A 2>/dev/null)"
}
dns_referral() {
    is 'NOERROR qr ' "$(status www.sub.example.org A)" || return
    ask +authority www.sub.example.org A | grep 'ns.sub.example.org.' || return
    ask +additional www.sub.example.org A | grep '192.0.2.153'
}
dns_letters() {
    # As they were asked, whatever the zone's.
    ask +question eXaMpLe.oRg MX | grep '^;eXaMpLe.oRg\.' && is '192.0.2.54 ' "$(answers NS2.EXAMPLE.ORG A)"
}
dns_tcp() {
    is '192.0.2.1 ' "$(answers +tcp example.org A)" || return
    dig -6 @$stack6 +tcp +short example.org A | grep 192.0.2.1 || return
    # Several questions on one connection.
    is '192.0.2.1 2001:db8::1 ' "$(dig @$stack +tcp +keepopen +short example.org A example.org AAAA | tr '\n' ' ')"
}
dns_sizes() {
    # Without an extension a datagram has 512 bytes.
    is 'NOERROR qr aa tc ' "$(status +ignore +noedns long.example.org TXT)" || return
    is 'NOERROR qr aa tc ' "$(status +ignore +bufsize=512 long.example.org TXT)" || return
    is 'NOERROR qr aa ' "$(status +ignore +bufsize=1232 long.example.org TXT)" || return
    # Ours is the least that any network carries whole.
    is 'NOERROR qr aa tc ' "$(status +ignore +bufsize=4096 longer.example.org TXT)" || return
    # dig asks again by TCP.
    is 6 "$(ask +answer +short longer.example.org TXT | grep -c '^"')"
}
dns_extension() {
    dig @$stack +norecurse +edns=0 +nocookie example.org A | grep 'EDNS: version: 0, flags:; udp: 1232' || return
    is 'BADVERS qr ' "$(status +edns=1 +noednsnegotiation example.org A)" || return
    # Options that it does not know do no harm.
    is 'NOERROR qr aa ' "$(status +nsid +subnet=10.0.0.0/8 +cookie example.org A)"
}
dns_nonsense() {
    head -c 100000 /dev/urandom | split -b 100 --filter="cat >/dev/udp/$stack/53"
    head -c 100000 /dev/urandom >"/dev/tcp/$stack/53"
    is '192.0.2.1 ' "$(answers example.org A)"
}
dns_load() { # ARGUMENT...
    cat >"$work/queries" <<END
example.org A
example.org MX
www.example.org A
any.pages.example.org A
nobody.example.org A
mail.example.org AAAA
www.sub.example.org A
END
    dnsperf -s $stack -d "$work/queries" -l 2 -t 20 -q 50 "$@" >"$work/dnsperf" 2>&1
    cat "$work/dnsperf"
    echo "NOTE: $(sed -n 's/^ *Queries per second: *//p' "$work/dnsperf") queries/s"
    grep 'Queries lost: *0 ' "$work/dnsperf" && grep 'Response codes: *NOERROR .*NXDOMAIN' "$work/dnsperf"
}
dns_load_udp() { dns_load -c 4; }
dns_load_tcp() { dns_load -c 4 -m tcp; }

group dns dns_types dns_aliases dns_wildcards dns_statuses dns_referral dns_letters dns_tcp dns_sizes dns_extension \
    dns_nonsense dns_load_udp dns_load_tcp
