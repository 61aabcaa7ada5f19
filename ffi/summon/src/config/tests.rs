//! What a configuration is taken for, and what is said of one that is none.

use super::*;
use std::{path::PathBuf, time::Duration};

const WHOLE: &str = r#"
[summon]
xl = "/usr/sbin/xl"
metrics = "127.0.0.1:9464"
starts = 2

[domain.http]
config = "/etc/xen/http.cfg"
listen = "0.0.0.0:80"
target = "10.0.0.2:8080"
idle = "5m"
asleep = "save"

[domain.dns]
config = "/etc/xen/dns.cfg"
listen = ["0.0.0.0:53", "udp:0.0.0.0:53", "udp:[::]:53"]
target = "10.0.0.3"
hold = "1500ms"

[domain."two.ports"]
config = "two.cfg"
listen = ["[::1]:1", "tcp:[::1]:2"]
target = ["[fd00::4]:11", "fd00::5"]
"#;

fn addresses(plan: &Plan) -> Vec<String> {
    plan.ways.iter().map(|way| format!("{} {}", way.place, way.target)).collect()
}

#[test]
fn a_whole_configuration() {
    let config = parse(WHOLE).unwrap();
    assert_eq!(config.general.xl, PathBuf::from("/usr/sbin/xl"));
    assert_eq!(config.general.starts, 2);
    assert_eq!(config.general.deaths, ["xenstore-watch", "@releaseDomain"]);
    let http = &config.domains["http"];
    assert_eq!(addresses(http), ["tcp:0.0.0.0:80 10.0.0.2:8080"]);
    assert_eq!((http.idle, http.asleep), (Some(Duration::from_secs(300)), Asleep::Save));
    let dns = &config.domains["dns"];
    assert_eq!(
        addresses(dns),
        ["tcp:0.0.0.0:53 10.0.0.3:53", "udp:0.0.0.0:53 10.0.0.3:53", "udp:[::]:53 10.0.0.3:53"]
    );
    assert_eq!((dns.idle, dns.hold), (None, Duration::from_millis(1500)));
    let two = &config.domains["two.ports"];
    assert_eq!(addresses(two), ["tcp:[::1]:1 [fd00::4]:11", "tcp:[::1]:2 [fd00::5]:2"]);
}

/// The faults of a domain `a` whose keys these are; its first key is in line 2.
fn faults(keys: &str) -> Vec<String> {
    let faults = parse(&format!("[domain.a]\n{keys}\n")).map(|_| ()).expect_err(keys);
    faults.iter().map(|fault| format!("{}: {}", fault.line, fault.what)).collect()
}

#[test]
fn faults_have_their_line_and_a_remedy() {
    let good = "config = \"a.cfg\"\nlisten = \"0.0.0.0:80\"\ntarget = \"10.0.0.2\"\n";
    for (keys, line, words) in [
        ("asleep = \"snore\"\nidle = \"1s\"", 5, "\"save\", \"shutdown\" or \"destroy\""),
        ("asleep = \"save\"", 5, "add idle = \"5m\""),
        ("\n\nidle = \"5\"", 7, "idle: `5` is not a length of time"),
        ("hold = \"0s\"", 5, "hold: `0s` is not a length of time"),
        ("queue = 0", 5, "queue = 0: must be 1 to 100000"),
        ("connections = -1", 5, "connections = -1: must be 1 to"),
        ("ready = \"10.0.0.2\"", 5, "is not an address and port: write them like"),
        ("warm = \"w\"\nidle = \"1s\"\nasleep = \"save\"", 5, "leave `warm` out"),
        ("colour = \"red\"", 5, "unknown field `colour`, expected one of `config`"),
        ("queue = \"many\"", 5, "invalid type: string \"many\""),
        ("queue = 1\nqueue = 2", 6, "duplicate key"),
        (
            "[domain.b]\nconfig = \"b\"\nlisten = \"0.0.0.0:80\"\ntarget = \"10.0.0.3\"",
            7,
            "is already used by a (line 3)",
        ),
        (
            "[domain.\"b c\"]\nconfig = \"b\"\nlisten = \"0.0.0.0:81\"\ntarget = \"10.0.0.3\"",
            5,
            "`b c` cannot be a domain's name",
        ),
        ("[summon]\ndeaths = []", 6, "no program to start"),
        ("[summon]\nmetrics = \"9464\"", 6, "metrics: `9464` is not an address and port"),
    ] {
        let found = faults(&format!("{good}{keys}"));
        assert_eq!(found.len(), 1, "{keys}: {found:?}");
        assert!(
            found[0].starts_with(&format!("{line}: ")) && found[0].contains(words),
            "{keys}: {found:?}"
        );
    }
}

#[test]
fn what_is_missing_is_named() {
    assert!(
        faults("config = \"a\"\ntarget = \"10.0.0.2\"")[0]
            .contains("as in listen = \"0.0.0.0:80\"")
    );
    assert!(faults("config = \"a\"\nlisten = \"0.0.0.0:80\"")[0].contains("as in target = "));
    assert!(faults("")[0].contains("as in config = "));
}

#[test]
fn addresses_that_are_none() {
    for (listen, target, words) in [
        ("\"80\"", "\"10.0.0.2\"", "listen: `80` is not an address and port"),
        ("\"0.0.0.0:0\"", "\"10.0.0.2\"", "listen: `0.0.0.0:0`"),
        ("\"sctp:0.0.0.0:1\"", "\"10.0.0.2\"", "listen: `sctp:0.0.0.0:1`"),
        ("\"0.0.0.0:80\"", "\"http.local\"", "target: `http.local` is not an address"),
        ("\"0.0.0.0:80\"", "\"0.0.0.0\"", "write the one it has"),
        ("\"127.0.0.1:80\"", "\"127.0.0.1\"", "127.0.0.1 leads back to tcp:127.0.0.1:80"),
        ("\"0.0.0.0:80\"", "\"127.0.0.2:80\"", "127.0.0.2:80 leads back to tcp:0.0.0.0:80"),
        ("\"udp:[::]:53\"", "\"[::1]:53\"", "[::1]:53 leads back to udp:[::]:53"),
        ("[]", "\"10.0.0.2\"", "an empty list"),
        ("\"0.0.0.0:80\"", "[\"10.0.0.2\", \"10.0.0.3\"]", "2 targets for 1 places"),
        ("3", "\"10.0.0.2\"", "must be a string, or a list of strings"),
    ] {
        let found = faults(&format!("config = \"a\"\nlisten = {listen}\ntarget = {target}"));
        assert!(found.iter().any(|fault| fault.contains(words)), "{listen} {target}: {found:?}");
    }
}

#[test]
fn all_faults_are_found_at_once() {
    let found = faults("config = \"a\"\nlisten = \"x\"\ntarget = \"y\"\nhold = \"z\"\nqueue = 0");
    assert_eq!(
        found.iter().map(|fault| &fault[..2]).collect::<Vec<_>>(),
        ["3:", "5:", "6:"],
        "{found:?}"
    );
}

#[test]
fn nonsense_never_panics() {
    let mut text = WHOLE.to_owned();
    while text.pop().is_some() {
        let _ = parse(&text);
    }
    for i in 0..WHOLE.len() {
        let mut octets = WHOLE.as_bytes().to_vec();
        octets[i] = octets[i].wrapping_add(3) & 0x7f;
        let _ = parse(&String::from_utf8(octets).unwrap());
    }
}
