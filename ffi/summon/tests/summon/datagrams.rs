//! The same for UDP.

use crate::rig::{PATIENCE, Rig, eventually};
use std::{net::UdpSocket, sync::atomic::Ordering::SeqCst};

fn client(rig: &Rig) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(rig.front()).unwrap();
    socket
}

fn config(rig: &Rig, more: &str) -> String {
    rig.config(more).replace("listen = \"", "listen = \"udp:")
}

fn is_served(client: &UdpSocket, what: &[u8]) {
    client.send(what).unwrap();
    let mut answer = [0; 2048];
    let n = client.recv(&mut answer).unwrap();
    assert_eq!(&answer[..n], what);
}

#[test]
fn first_datagram_is_held_and_delivered_once() {
    let mut rig = Rig::new();
    let seen = rig.echo_datagrams("http", rig.back());
    rig.start(&config(&rig, ""));
    let (a, b) = (client(&rig), client(&rig));
    let slow = rig.slow("create");
    a.send(b"early").unwrap();
    eventually("it is held", || rig.metric("held{domain=\"http\"}") == 1.0);
    drop(slow);
    let mut answer = [0; 16];
    assert_eq!(a.recv(&mut answer).unwrap(), 5);
    is_served(&a, b"again");
    is_served(&b, b"another");
    assert_eq!(seen.load(SeqCst), 3);
    assert_eq!(rig.calls(), ["create"]);
}

#[test]
fn datagram_that_is_refused_at_first_is_sent_again() {
    let mut rig = Rig::new();
    rig.start(&config(&rig, ""));
    let client = client(&rig);
    client.send(b"early").unwrap();
    // The machine is there, as it refuses; the service is not yet.
    rig.says("http: answers");
    let _seen = rig.echo_datagrams("http", rig.back());
    let mut answer = [0; 16];
    assert_eq!(client.recv(&mut answer).unwrap(), 5);
}

#[test]
fn service_that_never_begins_is_no_reason_to_go_on() {
    let mut rig = Rig::new();
    // Nothing accepts connections where it should.
    let ready = format!("ready = \"{}:9\"\nhold = \"2s\"\nretry = \"1h\"", rig.back().ip());
    rig.start(&config(&rig, &ready));
    let client = client(&rig);
    eventually("it is given up", || {
        client.send(b"lost").unwrap();
        rig.log().contains("error: http: no answer within 2s (`hold`)")
    });
    rig.says("(`ready`) ");
    assert!(!rig.has("http"));
    assert!(rig.metric("refused_total{domain=\"http\",reason=\"silent\"}") >= 1.0);
}

#[test]
fn datagrams_keep_awake_and_wake() {
    let mut rig = Rig::new();
    let _seen = rig.echo_datagrams("http", rig.back());
    rig.start(&config(&rig, "idle = \"300ms\"\nasleep = \"save\""));
    let client = client(&rig);
    is_served(&client, b"one");
    eventually("it is put to sleep", || !rig.has("http"));
    is_served(&client, b"two");
    assert_eq!(rig.calls()[..3], ["create", "save", "restore"]);
}

#[test]
fn too_many_datagrams_are_dropped() {
    let mut rig = Rig::new();
    rig.start(&config(&rig, ""));
    let client = client(&rig);
    let slow = rig.slow("create");
    for _ in 0..100 {
        client.send(b"flood").unwrap();
    }
    eventually("some are dropped", || {
        rig.metric("dropped_datagrams_total{domain=\"http\"}") > 50.0
    });
    drop(slow);
}
