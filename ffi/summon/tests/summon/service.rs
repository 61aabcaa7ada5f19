//! As a service: the command line, signals, systemd, metrics.

use crate::rig::{Client, PATIENCE, Rig, eventually};
use std::{
    fs,
    net::TcpListener,
    os::{fd::AsRawFd, unix::net::UnixDatagram},
    process::Command,
};

fn run(rig: &Rig, config: &str, arguments: &[&str]) -> (Option<i32>, String) {
    fs::write(rig.file("summon.toml"), config).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_mirust-summon"))
        .current_dir(&rig.dir)
        .args(["--config", "summon.toml"])
        .args(arguments)
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn check_says_what_is_wrong_and_what_is_missing() {
    let rig = Rig::new();
    let (code, said) = run(&rig, &rig.config(""), &["--check"]);
    assert_eq!((code, said.as_str()), (Some(0), "summon.toml: 1 domains, 1 sockets\n"));
    let (code, said) = run(&rig, &rig.config("idle = \"soon\""), &["--check"]);
    assert_eq!(code, Some(2));
    assert!(
        said.starts_with("summon.toml:10: idle: `soon` is not a length of time: write"),
        "{said}"
    );
    fs::remove_file(rig.file("http.cfg")).unwrap();
    let (code, said) = run(&rig, &rig.config("").replace("/xl\"", "/lx\""), &["--check"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("/lx: install Xen's tools") && said.contains("[domain.http] config ="),
        "{said}"
    );
}

#[test]
fn garbage_does_not_start() {
    let rig = Rig::new();
    for garbage in
        ["\u{0}\u{1}", "[domain", "listen = ", "domain = 3", "[domain.a.b.c]", "[domain.http]\n"]
    {
        let (code, said) = run(&rig, garbage, &[]);
        assert_eq!(code, Some(2), "{garbage}: {said}");
        assert!(said.starts_with("summon.toml:"), "{garbage}: {said}");
    }
}

#[test]
fn address_that_is_taken_is_an_error() {
    let mut rig = Rig::new();
    let _taken = TcpListener::bind(rig.front()).unwrap();
    let mut child = rig.command(&rig.config("")).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    rig.says("Address already in use");
    rig.start(&rig.config("").replace(":7080", ":7081"));
}

#[test]
fn reload_changes_what_is_served_and_keeps_connections() {
    let rig = Rig::serving("");
    let mut client = rig.client();
    // Nonsense changes nothing.
    fs::write(rig.file("summon.toml"), "[domain.http]\nlisten = 3\n").unwrap();
    rig.signal("HUP");
    rig.says("the configuration stays as it was:");
    client.is_served();
    // A second name.
    let other = rig.front().to_string().replace(":7080", ":7081");
    let more = format!(
        "[domain.other]\nconfig = \"o.cfg\"\nlisten = \"{other}\"\ntarget = \"{}:8081\"\n",
        rig.back().ip()
    );
    rig.echo("other", format!("{}:8081", rig.back().ip()).parse().unwrap(), false);
    fs::write(rig.file("summon.toml"), rig.config(&more)).unwrap();
    rig.signal("HUP");
    rig.says("2 domains are served from now on");
    Client::connect(other.parse().unwrap()).is_served();
    client.is_served();
    // The first one is not served any more; its clients stay connected, and it is left running.
    fs::write(rig.file("summon.toml"), rig.general() + &more).unwrap();
    rig.signal("HUP");
    rig.says("1 domains are served from now on");
    eventually("nobody listens", || std::net::TcpStream::connect(rig.front()).is_err());
    client.is_served();
    assert!(rig.has("http"));
}

#[test]
fn reload_gives_an_address_to_another_domain() {
    let mut rig = Rig::new();
    let elsewhere = format!("{}:8081", rig.back().ip());
    rig.echo("http", rig.back(), false);
    rig.echo("http", elsewhere.parse().unwrap(), false);
    rig.echo("other", rig.back(), false);
    rig.start(&rig.config(""));
    let _first = rig.client();
    // Another target of the same domain.
    let moved = rig.config("").replace(&rig.back().to_string(), &elsewhere);
    fs::write(rig.file("summon.toml"), &moved).unwrap();
    rig.signal("HUP");
    rig.says("served from now on");
    Client::connect(rig.front()).is_served();
    // Another domain, at the address that the first one has no longer.
    fs::remove_file(rig.file("domains/http")).unwrap();
    let renamed = rig.config("").replace("[domain.http]", "[domain.other]");
    fs::write(rig.file("summon.toml"), renamed).unwrap();
    rig.signal("HUP");
    eventually("both are loaded", || rig.log().matches("served from now on").count() == 2);
    Client::connect(rig.front()).is_served();
    assert!(rig.has("other"));
    assert_eq!(rig.calls(), ["create", "create"]);
}

#[test]
fn reload_gives_a_running_domain_its_new_times() {
    let rig = Rig::serving("");
    Client::connect(rig.front()).is_served();
    fs::write(rig.file("summon.toml"), rig.config("idle = \"100ms\"\nasleep = \"destroy\""))
        .unwrap();
    rig.signal("HUP");
    eventually("it is put to sleep", || !rig.has("http"));
}

#[test]
fn sockets_of_systemd_are_used() {
    let mut rig = Rig::new();
    rig.echo("http", rig.back(), false);
    let listener = TcpListener::bind(rig.front()).unwrap();
    socket2::SockRef::from(&listener).set_cloexec(false).unwrap();
    let notify = UnixDatagram::bind(rig.file("notify")).unwrap();
    notify.set_read_timeout(Some(PATIENCE)).unwrap();
    let direct = rig.command(&rig.config(""));
    let mut command = Command::new("bash");
    // The number has to be that of the program itself.
    let script = "fd=$1; shift; [ $fd = 3 ] || eval \"exec 3<&$fd $fd<&-\"; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$@\"";
    command.args(["-c", script, "sh", &listener.as_raw_fd().to_string()]);
    command.arg(direct.get_program()).args(direct.get_args());
    command.stderr(fs::OpenOptions::new().append(true).open(rig.file("log")).unwrap());
    command.env("NOTIFY_SOCKET", rig.file("notify")).env_remove("JOURNAL_STREAM");
    // Nobody else may bind it meanwhile: were the inherited one not used, the program would fail.
    rig.start_by(command);
    let mut word = [0; 64];
    let n = notify.recv(&mut word).unwrap();
    assert_eq!(&word[..n], b"READY=1");
    Client::connect(rig.front()).is_served();
    // xl has its streams, and the shell perhaps its script; it has not got the socket.
    let descriptors = fs::read_to_string(rig.file("descriptors")).unwrap();
    assert!(!descriptors.lines().any(|fd| fd == "3"), "{descriptors}");
    rig.signal("TERM");
    assert!(rig.ended().success());
    let n = notify.recv(&mut word).unwrap();
    assert_eq!(&word[..n], b"STOPPING=1");
    // Who comes now waits in the socket for the next one.
    drop(Client::connect(rig.front()));
}

#[test]
fn descriptors_that_are_no_sockets_are_left_alone() {
    let mut rig = Rig::new();
    let direct = rig.command(&rig.config(""));
    let mut command = Command::new("bash");
    // Three is a file, four is closed.
    let script = "exec 3</dev/null 4<&-; export LISTEN_PID=$$ LISTEN_FDS=2; exec \"$@\"";
    command.args(["-c", script, "bash"]).arg(direct.get_program()).args(direct.get_args());
    command.stderr(fs::OpenOptions::new().append(true).open(rig.file("log")).unwrap());
    command.env_remove("JOURNAL_STREAM");
    rig.start_by(command);
    for fd in [3, 4] {
        rig.says(&format!("warning: the inherited descriptor {fd} is not a socket"));
    }
}

#[test]
fn end_leaves_the_domains_as_they_are() {
    let mut rig = Rig::serving("idle = \"1h\"");
    Client::connect(rig.front()).is_served();
    rig.signal("INT");
    assert!(rig.ended().success());
    assert!(rig.has("http"));
    assert_eq!(rig.calls(), ["create"]);
}

#[test]
fn metrics_are_prometheus_text() {
    let mut rig = Rig::new();
    rig.start(&rig.config(""));
    let text = rig.scrape("/metrics");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"),
        "{head}"
    );
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    let mut families = 0;
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["gauge", "counter"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            families += 1;
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with("mirust_summon_") && name.ends_with('}'), "{line}");
            assert_eq!(value.parse::<f64>().unwrap(), 0.0, "{line}");
        }
    }
    assert!(families > 5);
    assert!(rig.scrape("/else").starts_with("HTTP/1.1 404"));
    // Connections that ask for nothing do not keep others out.
    let idle: Vec<_> = (0..3).map(|_| Client::connect(rig.metrics())).collect();
    assert!(rig.scrape("/metrics").starts_with("HTTP/1.1 200"));
    drop(idle);
}
