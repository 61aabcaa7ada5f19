//! Nobody comes, and the domain goes to sleep; with its connections, if it is saved.

use crate::rig::{Client, Rig, eventually};
use std::{fs, io::Read, thread, time::Duration};

/// Waits until it was put to sleep this many times at least, and is asleep. On a busy machine it may have gone to sleep
/// between two steps of a test, too.
fn asleep(rig: &Rig, times: u32) {
    eventually("it is put to sleep", || {
        rig.metric("sleeps_total{domain=\"http\"}") >= f64::from(times) && !rig.has("http")
    });
}

#[test]
fn idle_domain_is_shut_down_and_starts_again() {
    let rig = Rig::serving("idle = \"1s\"");
    let mut client = rig.client();
    asleep(&rig, 1);
    // The connection ended before, in order.
    assert_eq!(client.0.read(&mut [0]).unwrap(), 0);
    Client::connect(rig.front()).is_served();
    assert_eq!(rig.calls()[..3], ["create", "shutdown", "create"]);
}

#[test]
fn domain_that_does_not_shut_down_is_destroyed() {
    let mut rig = Rig::new();
    rig.echo("http", rig.back(), false);
    let slow = rig.slow("shutdown");
    let config = rig.config("idle = \"1s\"");
    rig.start(&config.replace("[summon]\n", "[summon]\nxl-limit = \"5s\"\n"));
    Client::connect(rig.front()).is_served();
    asleep(&rig, 1);
    assert_eq!(rig.calls(), ["create", "shutdown", "destroy"]);
    drop(slow);
}

#[test]
fn client_that_is_held_keeps_a_domain_awake() {
    let mut rig = Rig::new();
    rig.echo("http", rig.back(), true);
    rig.start(&rig.config("idle = \"100ms\""));
    let front = rig.front();
    let client = thread::spawn(move || Client::connect(front).is_served());
    rig.says("http: created");
    thread::sleep(Duration::from_millis(500));
    assert_eq!(rig.calls(), ["create"]);
    fs::write(rig.file("http.ready"), "").unwrap();
    client.join().unwrap();
}

#[test]
fn traffic_keeps_a_domain_awake() {
    let rig = Rig::serving("idle = \"30s\"\nasleep = \"destroy\"");
    let mut client = Client::connect(rig.front());
    for _ in 0..20 {
        client.is_served();
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(rig.calls(), ["create"]);
}

#[test]
fn connections_live_on_in_a_saved_domain() {
    let rig = Rig::serving("idle = \"1s\"\nasleep = \"save\"");
    let (mut silent, mut busy) = (Client::connect(rig.front()), Client::connect(rig.front()));
    silent.is_served();
    for times in 1..4 {
        busy.is_served();
        asleep(&rig, times);
        assert!(rig.file("state/http.saved").exists());
    }
    silent.is_served();
    // A state is used once.
    assert!(!rig.file("state/http.saved").exists() && !rig.file("state/http.restoring").exists());
    asleep(&rig, 4);
    let calls = rig.calls();
    assert_eq!(calls[0], "create");
    assert!(
        calls[1..]
            .chunks(2)
            .all(|pair| pair[0] == "save" && pair.get(1).is_none_or(|next| next == "restore"))
    );
    assert!(rig.metric("starts_total{domain=\"http\",how=\"saved\"}") >= 3.0);
}

#[test]
fn client_that_leaves_does_not_wake_a_saved_domain() {
    let rig = Rig::serving("idle = \"1s\"\nasleep = \"save\"");
    let (mut leaving, mut staying) = (Client::connect(rig.front()), Client::connect(rig.front()));
    leaving.is_served();
    staying.is_served();
    asleep(&rig, 1);
    let calls = rig.calls();
    drop(leaving);
    thread::sleep(Duration::from_millis(200));
    assert_eq!(rig.calls(), calls);
    // The domain hears of it when it is there again.
    staying.is_served();
    eventually("one client is left", || rig.metric("clients{domain=\"http\"}") == 1.0);
}

#[test]
fn client_that_comes_during_a_save_waits_for_both() {
    let rig = Rig::serving("idle = \"1s\"\nasleep = \"save\"");
    Client::connect(rig.front()).is_served();
    let slow = rig.slow("save");
    eventually("it is being saved", || rig.calls().contains(&"save".into()));
    let front = rig.front();
    let client = thread::spawn(move || Client::connect(front).is_served());
    eventually("the client is held", || rig.metric("held{domain=\"http\"}") == 1.0);
    drop(slow);
    client.join().unwrap();
    assert_eq!(rig.calls()[..3], ["create", "save", "restore"]);
}

#[test]
fn state_that_is_older_than_the_configuration_is_not_used() {
    let mut rig = Rig::new();
    rig.echo("http", rig.back(), false);
    let kernel = rig.file("http.elf");
    fs::write(&kernel, "1").unwrap();
    fs::write(rig.file("http.cfg"), format!("kernel = \"{}\"\n", kernel.display())).unwrap();
    rig.start(&rig.config("idle = \"1s\"\nasleep = \"save\""));
    let mut old = rig.client();
    asleep(&rig, 1);
    // Whatever the resolution of the file's times is.
    thread::sleep(Duration::from_millis(20));
    fs::write(&kernel, "2").unwrap();
    Client::connect(rig.front()).is_served();
    rig.says("has changed since it was saved");
    assert_eq!(rig.calls()[..3], ["create", "save", "create"]);
    // The new domain knows nothing of the old one's connections.
    old.is_refused();
}

#[test]
fn restoration_that_fails_is_a_cold_start() {
    let rig = Rig::serving("idle = \"1s\"\nasleep = \"save\"\nretry = \"1ms\"");
    Client::connect(rig.front()).is_served();
    asleep(&rig, 1);
    // Where nothing can be started, the state is kept.
    let restore = rig.failing("restore", "no memory");
    let create = rig.failing("create", "no memory");
    Client::connect(rig.front()).is_refused();
    assert!(rig.file("state/http.saved").exists());
    drop(create);
    eventually("a client is served", || Client::connect(rig.front()).says("hello").is_ok());
    assert!(!rig.file("state/http.saved").exists() && !rig.file("state/http.restoring").exists());
    drop(restore);
}

#[test]
fn save_that_fails_leaves_the_domain_up() {
    let mut rig = Rig::new();
    rig.echo("http", rig.back(), false);
    let failing = rig.failing("save", "No space left on device");
    rig.start(&rig.config("idle = \"1s\"\nasleep = \"save\""));
    let mut client = rig.client();
    rig.says("No space left on device");
    client.is_served();
    drop(failing);
    asleep(&rig, 1);
    client.is_served();
}

#[test]
fn interrupted_restoration_is_not_repeated() {
    let mut rig = Rig::new();
    rig.echo("http", rig.back(), false);
    fs::create_dir(rig.file("state")).unwrap();
    fs::write(rig.file("state/http.restoring"), "http 1\n").unwrap();
    rig.start(&rig.config("idle = \"5m\"\nasleep = \"save\""));
    Client::connect(rig.front()).is_served();
    assert_eq!(rig.calls(), ["create"]);
}

#[test]
fn saved_domain_survives_this_program() {
    let mut rig = Rig::new();
    rig.echo("http", rig.back(), false);
    let config = rig.config("idle = \"1s\"\nasleep = \"save\"");
    rig.start(&config);
    Client::connect(rig.front()).is_served();
    // It ends only when the state is whole.
    let slow = rig.slow("save");
    eventually("it is being saved", || rig.calls().contains(&"save".into()));
    rig.signal("TERM");
    rig.says("xl is still at work");
    drop(slow);
    assert!(rig.ended().success());
    assert!(rig.file("state/http.saved").exists());
    rig.start(&config);
    Client::connect(rig.front()).is_served();
    assert_eq!(rig.calls()[..3], ["create", "save", "restore"]);
}

#[test]
fn warm_state_is_restored_again_and_again() {
    let mut rig = Rig::new();
    rig.echo("http", rig.back(), false);
    let warm = rig.file("http.warm");
    fs::write(&warm, "http 1\n").unwrap();
    let more = format!("warm = \"{}\"\nidle = \"1s\"\nasleep = \"destroy\"", warm.display());
    rig.start(&rig.config(&more));
    for times in 1..3 {
        Client::connect(rig.front()).is_served();
        asleep(&rig, times);
    }
    fs::remove_file(&warm).unwrap();
    Client::connect(rig.front()).is_served();
    assert_eq!(rig.calls()[..6], ["restore", "destroy", "restore", "destroy", "restore", "create"]);
}

#[test]
fn renamed_domain_is_put_to_sleep_and_comes_back_under_its_name() {
    for (how, expected) in [
        ("save", &["create", "rename", "rename", "save", "restore"][..]),
        ("destroy", &["create", "rename", "destroy", "create"]),
    ] {
        let mut rig = Rig::new();
        rig.echo("http", rig.back(), false);
        rig.start(&rig.config(""));
        Client::connect(rig.front()).is_served();
        rig.knows_its_number();
        // Nobody tells of that.
        rig.rename("http", "other");
        let more = format!("idle = \"1s\"\nasleep = \"{how}\"");
        fs::write(rig.file("summon.toml"), rig.config(&more)).unwrap();
        rig.signal("HUP");
        asleep(&rig, 1);
        Client::connect(rig.front()).is_served();
        assert_eq!(rig.calls()[..expected.len()], *expected);
    }
}
