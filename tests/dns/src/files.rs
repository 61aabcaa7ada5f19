//! Master files.

use crate::master::{self, Record};
use crate::name;
use crate::zone::Zone;

fn origin() -> Vec<u8> {
    name::parse(b"example.org.", &[0]).expect("a name")
}

fn records(text: &str) -> Vec<Record> {
    let records = master::parse(text, &origin()).expect(text);
    records.into_iter().map(|(_, record)| record).collect()
}

fn refused(text: &str) -> String {
    master::parse(text, &origin()).expect_err(text)
}

fn one(text: &str) -> Record {
    let [record] = <[Record; 1]>::try_from(records(text)).expect("one record");
    record
}

#[test]
fn names_are_relative_unless_they_end_with_a_dot() {
    let parse = |text: &str| name::parse(text.as_bytes(), &origin());
    assert_eq!(parse("@").unwrap(), b"\x07example\x03org\0");
    assert_eq!(parse("Www").unwrap(), b"\x03Www\x07example\x03org\0");
    assert_eq!(parse("a.b.").unwrap(), b"\x01a\x01b\0");
    assert_eq!(parse(".").unwrap(), b"\0");
    assert_eq!(parse(r"a\.b.\099\\.").unwrap(), b"\x03a.b\x02c\\\0");
}

#[test]
fn names_that_no_message_can_have_are_refused() {
    let long = "a".repeat(64);
    let deep = "a.".repeat(128);
    for text in ["a..b", ".a", "", r"\", r"\25", r"\256", &long, &deep] {
        assert!(name::parse(text.as_bytes(), &[0]).is_err(), "{text}");
    }
    assert_eq!(name::parse("a.".repeat(127).as_bytes(), &[0]).unwrap().len(), 255);
}

#[test]
fn a_name_of_a_message_is_checked() {
    for good in [&b"\0"[..], b"\x01a\0", b"\x03www\x07example\x03org\0"] {
        assert!(name::is_valid(good), "{good:?}");
    }
    for bad in [&b""[..], b"\x01", b"\x01a", b"\x02a\0", b"\0\0", b"\x01a\0a", b"\xc0\0", b"\x40"] {
        assert!(!name::is_valid(bad), "{bad:?}");
    }
    let long =
        [b"\x3faaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".repeat(4), vec![0]];
    assert!(!name::is_valid(&long.concat()));
}

#[test]
fn every_type_has_its_bytes() {
    let host = b"\x01h\x07example\x03org\0";
    let cases: [(&str, u16, Vec<u8>); 11] = [
        ("A 192.0.2.1", 1, vec![192, 0, 2, 1]),
        ("NS h", 2, host.to_vec()),
        ("CNAME h", 5, host.to_vec()),
        (
            "SOA h h 1 2 3 4 5",
            6,
            [&host[..], host, &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5]]
                .concat(),
        ),
        ("PTR h", 12, host.to_vec()),
        ("MX 258 h", 15, [b"\x01\x02", &host[..]].concat()),
        ("TXT a \"b;\\\" c\" \\001", 16, b"\x01a\x05b;\" c\x01\x01".to_vec()),
        ("TXT \"\"", 16, vec![0]),
        ("AAAA 2001:db8::1", 28, b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01".to_vec()),
        ("SRV 1 2 3 h", 33, [b"\0\x01\0\x02\0\x03", &host[..]].concat()),
        ("CAA 128 issue \"ca.org\"", 257, b"\x80\x05issueca.org".to_vec()),
    ];
    for (text, kind, data) in cases {
        let record = one(&format!("x 60 IN {text}"));
        assert_eq!((record.kind, record.data), (kind, data), "{text}");
    }
}

#[test]
fn an_owner_a_time_and_a_class_may_be_left_out() {
    let found = records(
        "$TTL 1h\nA IN 60 A 192.0.2.1\n  60 in a 192.0.2.2 ; the same owner\n\n \tA 192.0.2.3\n\
         $ORIGIN sub\n@ 1d A 192.0.2.4\n",
    );
    let short: Vec<_> = found.iter().map(|r| (name::lower(&r.owner), r.ttl, r.data[3])).collect();
    let a = b"\x01a\x07example\x03org\0".to_vec();
    let sub = b"\x03sub\x07example\x03org\0".to_vec();
    assert_eq!(short, [(a.clone(), 60, 1), (a.clone(), 60, 2), (a, 3600, 3), (sub, 86400, 4)]);
}

#[test]
fn times_may_have_units() {
    for (text, seconds) in
        [("0", 0), ("90", 90), ("1h30m", 5400), ("2W", 1_209_600), ("1d1s", 86401)]
    {
        assert_eq!(one(&format!("x {text} A 192.0.2.1")).ttl, seconds, "{text}");
    }
}

#[test]
fn parentheses_join_lines() {
    let record = one("x 60 TXT ( a ; the first\n \"b\"\n)\n");
    assert_eq!(record.data, b"\x01a\x01b");
}

#[test]
fn nonsense_is_refused_with_its_line() {
    for (text, line) in [
        ("x A 192.0.2.1", 1),
        (" 60 A 192.0.2.1", 1),
        ("\nx 60 A 192.0.2", 2),
        ("x 60 A 192.0.2.1 192.0.2.2", 1),
        ("x 60 NAPTR 1", 1),
        ("x 60", 1),
        ("x 60 TXT", 1),
        ("x 60 MX 65536 h", 1),
        ("x 60 MX -1 h", 1),
        ("x 60 SOA h h 1 2 3 4", 1),
        ("x 60 TXT \"a", 1),
        ("x 60 TXT a\\", 1),
        ("x 60 TXT ( a\n\n", 1),
        ("x 60 TXT a )", 1),
        ("x 60 TXT ( ( a ) )", 1),
        ("x 4294967295 A 192.0.2.1", 1),
        ("$INCLUDE file", 1),
        ("$TTL", 1),
        ("$TTL 1x", 1),
    ] {
        assert!(refused(text).starts_with(&format!("line {line}: ")), "{text}: {}", refused(text));
    }
    assert!(refused(&format!("x 60 TXT {}", "a".repeat(256))).contains("255"));
}

#[test]
fn no_text_makes_the_parser_panic() {
    let text = include_str!("../../../examples/dns/zones/example.org.zone");
    for line in text.lines().map(|line| format!("x 60 {line}")) {
        for i in 0..line.len() {
            let _ = master::parse(&line[..i], &origin());
            for wrong in ["\\", "\"", "(", ")", ";", "\n", "\t", ".", "9", "\u{fc}"] {
                let _ = master::parse(&[&line[..i], wrong, &line[i + 1..]].concat(), &origin());
            }
        }
    }
}

#[test]
fn a_zone_is_whole_or_refused() {
    let top = "$TTL 60\n@ SOA a a 1 2 3 4 5\n@ NS a\n";
    let zone = |text: &str| Zone::new("example.org", &format!("{top}{text}"));
    assert_eq!(zone("").map(|zone| zone.records()), Ok(2));
    for (text, reason) in [
        ("@ SOA a a 1 2 3 4 5\n", "one SOA"),
        ("other. A 192.0.2.1\n", "outside"),
        ("notexample.org. A 192.0.2.1\n", "outside"),
        ("a A 192.0.2.1\na CNAME b\n", "alone"),
        ("a CNAME b\na A 192.0.2.1\n", "alone"),
        ("a CNAME b\na CNAME c\n", "alone"),
        ("a 1 A 192.0.2.1\na 2 A 192.0.2.2\n", "one time to live"),
    ] {
        let error = zone(text).err().expect(text);
        assert!(error.contains(reason), "{text}: {error}");
    }
    assert!(Zone::new("example.org", "").is_err());
    assert!(Zone::new("example.org", "@ 60 SOA a a 1 2 3 4 5\n").is_err());
    assert!(Zone::new("example..org", top).is_err());
}
