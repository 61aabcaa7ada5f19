//! What the zones say.

use crate::name;
use crate::rdata::kind;
use crate::zone::{Zone, Zones};

fn zones() -> Zones {
    let mut zones = Zones::default();
    let texts = [
        ("example.org", include_str!("../../../examples/dns/zones/example.org.zone")),
        (
            "2.0.192.in-addr.arpa",
            include_str!("../../../examples/dns/zones/2.0.192.in-addr.arpa.zone"),
        ),
    ];
    for (origin, text) in texts {
        zones.add(Zone::new(origin, text).expect(origin));
    }
    zones
}

fn wire(name: &str) -> Vec<u8> {
    name::parse(name.as_bytes(), &[0]).expect(name)
}

/// A name as text.
fn text(name: &[u8]) -> String {
    let labels: Vec<_> = name::ancestors(name)
        .filter(|name| name.first().is_some_and(|n| *n > 0))
        .map(|name| String::from_utf8_lossy(&name[1..][..usize::from(name[0])]).into_owned() + ".")
        .collect();
    labels.concat()
}

/// The answer in short: flags and code, and each part's records as `owner type ttl last-byte`.
fn ask(name: &str, kind: u16) -> (u16, [Vec<String>; 3]) {
    read(&zones().answer(&wire(name), kind).encode())
}

fn read(bytes: &[u8]) -> (u16, [Vec<String>; 3]) {
    let u16_at = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let mut at = 8;
    let parts = [2, 4, 6].map(|count| {
        let mut records = Vec::new();
        for _ in 0..u16_at(count) {
            let end = at + bytes[at..].iter().position(|b| *b == 0).expect("an end") + 1;
            let ttl = u32::from(u16_at(end + 4)) << 16 | u32::from(u16_at(end + 6));
            let next = end + 10 + usize::from(u16_at(end + 8));
            let owner = text(&bytes[at..end]);
            records.push(format!("{owner} {} {ttl} {}", u16_at(end), bytes[next - 1]));
            at = next;
        }
        records
    });
    assert_eq!(at, bytes.len(), "bytes after the last record");
    (u16_at(0), parts)
}

const AUTHORITATIVE: u16 = 0x0400;
const NO_SUCH_NAME: u16 = 0x0403;
const SOA: &str = "example.org. 6 300 44";

#[test]
fn a_record_is_found_whatever_its_letters() {
    for name in ["ns2.example.org.", "NS2.eXample.ORG."] {
        let (flags, [answer, authority, additional]) = ask(name, kind::A);
        assert_eq!(flags, AUTHORITATIVE);
        assert_eq!(answer, ["ns2.example.org. 1 3600 54"]);
        assert!(authority.is_empty() && additional.is_empty());
    }
}

#[test]
fn the_addresses_of_named_hosts_come_along() {
    let (_, [answer, _, additional]) = ask("example.org.", kind::MX);
    assert_eq!(answer.len(), 2);
    assert_eq!(additional, ["mail.example.org. 1 3600 25"]);
    let (_, [answer, _, additional]) = ask("example.org.", kind::NS);
    assert_eq!(answer.len(), 2);
    assert_eq!(additional.len(), 3);
    assert_eq!(ask("_http._tcp.example.org.", kind::SRV).1[0], ["_http._tcp.example.org. 33 60 0"]);
}

#[test]
fn a_name_without_the_type_is_not_a_missing_name() {
    let (flags, [answer, authority, _]) = ask("ns2.example.org.", kind::AAAA);
    assert_eq!((flags, answer.len()), (AUTHORITATIVE, 0));
    // For no longer than the SOA's last field says.
    assert_eq!(authority, [SOA]);
    let (flags, [answer, authority, _]) = ask("nobody.example.org.", kind::A);
    assert_eq!((flags, answer.len()), (NO_SUCH_NAME, 0));
    assert_eq!(authority, [SOA]);
}

#[test]
fn a_name_that_only_has_names_below_it_exists() {
    let (flags, [_, authority, _]) = ask("_tcp.example.org.", kind::A);
    assert_eq!((flags, authority), (AUTHORITATIVE, vec![SOA.to_owned()]));
}

#[test]
fn aliases_are_followed() {
    let (flags, [answer, _, _]) = ask("www.example.org.", kind::A);
    assert_eq!(flags, AUTHORITATIVE);
    assert_eq!(answer, ["www.example.org. 5 3600 0", "example.org. 1 3600 1"]);
    let (_, [answer, _, _]) = ask("blog.example.org.", kind::A);
    assert_eq!(answer, ["blog.example.org. 5 3600 0", "today.pages.example.org. 1 3600 80"]);
    // The alias itself.
    assert_eq!(ask("www.example.org.", kind::CNAME).1[0], ["www.example.org. 5 3600 0"]);
    // Out of the zone: somebody else knows.
    let (flags, [answer, authority, _]) = ask("elsewhere.example.org.", kind::A);
    assert_eq!((flags, answer.len(), authority.len()), (AUTHORITATIVE, 1, 0));
}

#[test]
fn an_alias_of_nothing_says_so() {
    let (flags, [answer, authority, _]) = ask("broken.example.org.", kind::A);
    assert_eq!((flags, answer.len()), (NO_SUCH_NAME, 1));
    assert_eq!(authority, [SOA]);
    let (flags, [answer, authority, _]) = ask("www.example.org.", kind::SRV);
    assert_eq!((flags, answer.len()), (AUTHORITATIVE, 1));
    assert_eq!(authority, [SOA]);
}

#[test]
fn aliases_in_a_circle_end() {
    let (flags, [answer, _, _]) = ask("circle.example.org.", kind::A);
    assert_eq!((flags, answer.len()), (AUTHORITATIVE, 2));
}

#[test]
fn a_wildcard_stands_for_names_that_are_not_there() {
    let (_, [answer, _, _]) = ask("any.pages.example.org.", kind::A);
    assert_eq!(answer, ["any.pages.example.org. 1 3600 80"]);
    let (_, [answer, _, _]) = ask("a.b.pages.example.org.", kind::A);
    assert_eq!(answer, ["a.b.pages.example.org. 1 3600 80"]);
    // Not for one that is, nor for what is below that one, nor for its own parent.
    assert_eq!(
        ask("first.pages.example.org.", kind::A).1[0],
        ["first.pages.example.org. 1 3600 81"]
    );
    assert_eq!(ask("first.pages.example.org.", kind::TXT).0, AUTHORITATIVE);
    assert_eq!(ask("first.pages.example.org.", kind::TXT).1[0].len(), 0);
    assert_eq!(ask("below.first.pages.example.org.", kind::A).0, NO_SUCH_NAME);
    assert_eq!(ask("pages.example.org.", kind::A).1[0].len(), 0);
    // The name has other types.
    let (flags, [answer, authority, _]) = ask("any.pages.example.org.", kind::MX);
    assert_eq!((flags, answer.len()), (AUTHORITATIVE, 0));
    assert_eq!(authority, [SOA]);
}

#[test]
fn what_is_delegated_is_referred() {
    for name in
        ["sub.example.org.", "www.sub.example.org.", "a.b.sub.example.org.", "ns.sub.example.org."]
    {
        let (flags, [answer, authority, additional]) = ask(name, kind::A);
        assert_eq!((flags, answer.len()), (0, 0), "{name}");
        assert_eq!(authority.len(), 2, "{name}");
        assert!(authority[0].starts_with("sub.example.org. 2 "), "{name}");
        assert!(additional.contains(&"ns.sub.example.org. 1 3600 153".to_owned()), "{name}");
    }
    // Whether it is signed is ours to say.
    let (flags, [_, authority, _]) = ask("sub.example.org.", kind::DS);
    assert_eq!((flags, authority), (AUTHORITATIVE, vec![SOA.to_owned()]));
    assert_eq!(ask("www.sub.example.org.", kind::DS).0, 0);
}

#[test]
fn any_type_is_one_type() {
    let (_, [answer, _, _]) = ask("ns1.example.org.", kind::ANY);
    assert_eq!(answer, ["ns1.example.org. 1 3600 53"]);
}

#[test]
fn the_longest_zone_answers_and_no_other() {
    assert_eq!(ask("25.2.0.192.in-addr.arpa.", kind::PTR).1[0].len(), 1);
    for name in [".", "org.", "example.net.", "notexample.org.", "0.192.in-addr.arpa."] {
        let (flags, parts) = ask(name, kind::A);
        assert_eq!((flags, parts.concat().len()), (5, 0), "{name}");
    }
}

#[test]
fn what_is_no_name_is_a_format_error() {
    for name in [&b""[..], b"\x05ab", b"\xc0\x0c", b"\0\0", &[1; 300]] {
        assert_eq!(read(&zones().answer(name, kind::A).encode()).0, 1, "{name:?}");
    }
}
