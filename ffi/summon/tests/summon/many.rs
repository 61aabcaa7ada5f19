//! A thousand names.

use crate::rig::{Client, Rig, eventually};
use std::{fmt::Write, fs, net::SocketAddr};

/// A number of /proc/PID/status.
fn status(rig: &Rig, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", rig.pid())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn as_many_are_started_at_a_time_as_the_configuration_allows() {
    let mut rig = Rig::new();
    let (front, back) = (rig.front().ip(), rig.back().ip());
    let mut text = rig.general() + "starts = 2\n";
    for i in 0..5 {
        let config = rig.file("http.cfg");
        let listen = SocketAddr::new(front, 7100 + i);
        write!(
            text,
            "[domain.d{i}]\nconfig = \"{}\"\nlisten = \"{listen}\"\ntarget = \"{back}\"\n",
            config.display()
        )
        .unwrap();
        rig.echo(&format!("d{i}"), SocketAddr::new(back, 7100 + i), false);
    }
    rig.start(&text);
    let slow = rig.slow("create");
    let mut clients: Vec<_> =
        (0..5).map(|i| Client::connect(SocketAddr::new(front, 7100 + i))).collect();
    let held = || (0..5).map(|i| rig.metric(&format!("held{{domain=\"d{i}\"}}"))).sum::<f64>();
    eventually("all are held", || held() == 5.0 && rig.calls().len() >= 2);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(rig.calls().len(), 2);
    drop(slow);
    clients.iter_mut().for_each(Client::is_served);
    assert_eq!(rig.calls(), ["create"; 5]);
}

#[test]
fn a_thousand_sleeping_names_cost_nothing() {
    let mut rig = Rig::new();
    let (front, back) = (rig.front().ip(), rig.back());
    rig.echo("d777", back, false);
    let config_of = |names: std::ops::Range<u16>| {
        let mut text = rig.general();
        for i in names {
            let config = rig.file("http.cfg");
            write!(
                text,
                "[domain.d{i}]\nconfig = \"{}\"\nlisten = \"{front}:{}\"\ntarget = \"{back}\"\nidle = \"3s\"\n",
                config.display(),
                20_000 + i
            )
            .unwrap();
        }
        text
    };
    let (one, thousand) = (config_of(777..778), config_of(0..1000));
    rig.start(&one);
    let small = status(&rig, "VmRSS");
    rig.signal("TERM");
    rig.ended();
    rig.start(&thousand);
    let memory = status(&rig, "VmRSS").saturating_sub(small);
    eprintln!("a thousand names take {memory} KiB");
    assert!(memory < 8 << 10, "a thousand names take {memory} KiB");
    assert_eq!(status(&rig, "Threads"), 1);
    // Nothing runs that would have to be awake.
    let before = status(&rig, "voluntary_ctxt_switches");
    std::thread::sleep(std::time::Duration::from_secs(1));
    let turns = status(&rig, "voluntary_ctxt_switches") - before;
    assert!(turns <= 3, "it woke {turns} times in a second");
    assert!(rig.calls().is_empty());
    let mut client = Client::connect(SocketAddr::new(front, 20_777));
    client.is_served();
    assert_eq!(rig.calls(), ["create"]);
    assert!(rig.has("d777"));
    drop(client);
    eventually("it sleeps again", || !rig.has("d777"));
    assert_eq!(
        rig.scrape("/metrics").lines().filter(|line| line.starts_with("mirust_summon_up{")).count(),
        1000
    );
}
