//! Somebody comes, and the domain starts.

use crate::rig::{Client, Rig, eventually};
use std::{
    io::{Read, Write},
    net::Shutdown,
    thread,
};

#[test]
fn first_client_starts_the_domain() {
    let rig = Rig::serving("");
    assert!(rig.calls().is_empty());
    Client::connect(rig.front()).is_served();
    assert_eq!(rig.calls(), ["create"]);
    // The next one finds it running.
    Client::connect(rig.front()).is_served();
    assert_eq!(rig.calls(), ["create"]);
    rig.says("http: answers");
    assert_eq!(rig.metric("up{domain=\"http\"}"), 1.0);
    assert_eq!(rig.metric("starts_total{domain=\"http\",how=\"create\"}"), 1.0);
    assert_eq!(rig.metric("octets_total{domain=\"http\",direction=\"in\"}"), 10.0);
    assert_eq!(rig.metric("octets_total{domain=\"http\",direction=\"out\"}"), 10.0);
}

#[test]
fn many_clients_at_once_start_one_domain() {
    let rig = Rig::serving("");
    let slow = rig.slow("create");
    let clients: Vec<_> = (0..50)
        .map(|_| {
            let front = rig.front();
            thread::spawn(move || Client::connect(front).is_served())
        })
        .collect();
    eventually("all are held", || rig.metric("held{domain=\"http\"}") == 50.0);
    drop(slow);
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert_eq!(rig.calls(), ["create"]);
    eventually("all are gone", || rig.metric("clients{domain=\"http\"}") == 0.0);
}

#[test]
fn client_is_held_until_the_domain_answers() {
    let mut rig = Rig::new();
    rig.echo("http", rig.back(), true);
    rig.start(&rig.config(""));
    let mut client = Client::connect(rig.front());
    client.0.write_all(b"early").unwrap();
    eventually("it is there", || rig.metric("up{domain=\"http\"}") == 1.0);
    assert_eq!(rig.metric("held{domain=\"http\"}"), 1.0);
    std::fs::write(rig.file("http.ready"), "").unwrap();
    let mut answer = [0; 5];
    client.0.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"early");
}

#[test]
fn each_direction_ends_by_itself() {
    let rig = Rig::serving("");
    let client = Client::connect(rig.front());
    let sent: Vec<u8> = (0..3_000_000_u32).map(|i| ((i * 31) >> 3) as u8).collect();
    let (mut writer, octets) = (client.0.try_clone().unwrap(), sent.clone());
    let writing = thread::spawn(move || {
        writer.write_all(&octets).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut received = Vec::new();
    let mut reader = &client.0;
    reader.read_to_end(&mut received).unwrap();
    writing.join().unwrap();
    assert!(received == sent, "{} octets of {}", received.len(), sent.len());
}

#[test]
fn fast_side_waits_for_the_slow_one() {
    let rig = Rig::serving("");
    let mut client = rig.client();
    // Nothing is read here, so that the domain cannot write and reads no more either. What fits is what the kernel has
    // on four sockets, of some megabytes each.
    client.0.set_nonblocking(true).unwrap();
    let block = vec![7; 1 << 20];
    let (mut sent, mut still) = (0_usize, 0);
    while still < 20 {
        match client.0.write(&block) {
            Ok(n) => (sent, still) = (sent + n, 0),
            Err(_) => {
                still += 1;
                thread::sleep(std::time::Duration::from_millis(20));
            }
        }
        assert!(sent < 200 << 20, "{sent} octets, and more is taken");
    }
    client.0.set_nonblocking(false).unwrap();
    let mut all = vec![0; sent];
    client.0.read_exact(&mut all).unwrap();
    assert!(all.iter().all(|octet| *octet == 7));
}

#[test]
fn proxy_protocol_says_who_the_client_is() {
    let rig = Rig::serving("proxy-protocol = true");
    let mut client = Client::connect(rig.front());
    let (here, there) = (client.0.local_addr().unwrap(), rig.front());
    let line =
        format!("PROXY TCP4 {} {} {} {}\r\n", here.ip(), there.ip(), here.port(), there.port());
    client.0.write_all(b"hello").unwrap();
    let mut answer = vec![0; line.len() + 5];
    client.0.read_exact(&mut answer).unwrap();
    assert_eq!(String::from_utf8(answer).unwrap(), line + "hello");
}

#[test]
fn ready_is_where_the_domain_says_that_it_can_serve() {
    let mut rig = Rig::new();
    let ready = format!("{}:9000", rig.back().ip());
    rig.echo("http", rig.back(), false);
    rig.echo("http", ready.parse().unwrap(), true);
    rig.start(&rig.config(&format!("ready = \"{ready}\"")));
    let front = rig.front();
    let client = thread::spawn(move || Client::connect(front).is_served());
    rig.says("http: created");
    eventually("the domain serves", || Client::is_open(rig.back()));
    assert_eq!(rig.metric("held{domain=\"http\"}"), 1.0);
    std::fs::write(rig.file("http.ready"), "").unwrap();
    client.join().unwrap();
}

#[test]
fn domain_that_runs_already_is_taken_up() {
    let mut rig = Rig::new();
    rig.echo("http", rig.back(), false);
    std::fs::write(rig.file("domains/http"), "7 -b---- 7 http\n").unwrap();
    rig.start(&rig.config("idle = \"2s\"\nasleep = \"destroy\""));
    rig.says("http: runs already");
    Client::connect(rig.front()).is_served();
    eventually("it is put to sleep", || !rig.has("http"));
    assert_eq!(rig.calls(), ["destroy"]);
}

#[test]
fn domain_that_somebody_else_has_started_is_used() {
    let rig = Rig::serving("");
    std::fs::write(rig.file("domains/http"), "7 -b---- 7 http\n").unwrap();
    Client::connect(rig.front()).is_served();
    rig.says("somebody else has started it");
    // A dead one is no use.
    let rig = Rig::serving("");
    std::fs::write(rig.file("domains/http"), "7 ---s-- 7 http\n").unwrap();
    Client::connect(rig.front()).is_served();
    assert_eq!(rig.calls(), ["create", "destroy", "create"]);
}
