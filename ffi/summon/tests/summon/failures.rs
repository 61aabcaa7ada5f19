//! A domain that does not come up, or ends.

use crate::rig::{Client, Rig, eventually};
use std::{fs, thread::sleep, time::Duration};

#[test]
fn failing_create_is_a_refusal_and_a_reason() {
    let mut rig = Rig::new();
    rig.echo("http", rig.back(), false);
    let failing = rig.failing("create", "libxl: not enough memory\n");
    rig.start(&rig.config("retry = \"1h\""));
    Client::connect(rig.front()).is_refused();
    rig.says("error: http: xl create failed (exit status: 1): libxl: not enough memory; clients are refused for 3600s");
    // Nobody tries again so soon.
    Client::connect(rig.front()).is_refused();
    assert_eq!(rig.calls(), ["create"]);
    assert_eq!(rig.metric("failing{domain=\"http\"}"), 1.0);
    assert_eq!(rig.metric("refused_total{domain=\"http\",reason=\"failed\"}"), 2.0);
    drop(failing);
}

#[test]
fn after_a_time_somebody_tries_again() {
    let mut rig = Rig::new();
    rig.echo("http", rig.back(), false);
    let failing = rig.failing("create", "no");
    rig.start(&rig.config("retry = \"10ms\""));
    Client::connect(rig.front()).is_refused();
    drop(failing);
    eventually("a client is served", || Client::connect(rig.front()).says("hello").is_ok());
}

#[test]
fn toolstack_that_is_not_there_is_a_reason() {
    let mut rig = Rig::new();
    rig.start(&rig.config("").replace("/xl\"", "/no-xl\""));
    Client::connect(rig.front()).is_refused();
    rig.says("no-xl cannot be started: No such file");
}

#[test]
fn toolstack_that_hangs_is_killed() {
    let mut rig = Rig::new();
    let slow = rig.slow("create");
    rig.start(&rig.config("").replace("[summon]\n", "[summon]\nxl-limit = \"300ms\"\n"));
    Client::connect(rig.front()).is_refused();
    rig.says("xl create had not ended after 300ms, and was killed");
    drop(slow);
}

#[test]
fn domain_that_never_answers_is_given_up() {
    let mut rig = Rig::new();
    rig.start(&rig.config("hold = \"2s\"\nretry = \"1h\""));
    // It has its time: one that was started late, on a busy machine, is not given up at once.
    eventually("it is given up", || {
        Client::connect(rig.front()).is_refused();
        rig.log().contains("error: http: no answer within 2s (`hold`)")
    });
    assert!(!rig.has("http"));
    assert_eq!(rig.calls(), ["create", "destroy"]);
    Client::connect(rig.front()).is_refused();
}

#[test]
fn domain_that_has_answered_is_not_given_up() {
    let mut rig = Rig::new();
    rig.echo("http", rig.back(), true);
    fs::write(rig.file("http.ready"), "").unwrap();
    let second = rig.back().ip().to_string() + ":9";
    let config = rig.config("");
    // The second way leads nowhere.
    let (front, back) = (rig.front(), rig.back());
    let other = format!("{}:7081", front.ip());
    let config = config
        .replace(&format!("listen = \"{front}\""), &format!("listen = [\"{front}\", \"{other}\"]"))
        .replace(&format!("target = \"{back}\""), &format!("target = [\"{back}\", \"{second}\"]"));
    rig.start(&config);
    let mut client = Client::connect(front);
    client.is_served();
    fs::write(rig.file("summon.toml"), config + "hold = \"500ms\"\n").unwrap();
    rig.signal("HUP");
    rig.says("served from now on");
    Client::connect(other.parse().unwrap()).is_refused();
    client.is_served();
    assert_eq!(rig.calls(), ["create"]);
}

#[test]
fn as_many_wait_as_the_queue_has_room_for() {
    let rig = Rig::serving("queue = 4");
    let slow = rig.slow("create");
    let mut held: Vec<_> = (0..4).map(|_| Client::connect(rig.front())).collect();
    eventually("four are held", || rig.metric("held{domain=\"http\"}") == 4.0);
    for _ in 0..3 {
        Client::connect(rig.front()).is_refused();
    }
    drop(slow);
    held.iter_mut().for_each(Client::is_served);
    // Once it answers, nobody queues.
    let mut more: Vec<_> = (0..20).map(|_| Client::connect(rig.front())).collect();
    more.iter_mut().for_each(Client::is_served);
    assert_eq!(rig.metric("refused_total{domain=\"http\",reason=\"queue\"}"), 3.0);
}

#[test]
fn as_many_are_served_as_the_configuration_allows() {
    let rig = Rig::serving("connections = 2");
    let mut first = rig.client();
    let mut second = Client::connect(rig.front());
    for _ in 0..5 {
        // Nobody is known for answers that came at once.
        sleep(Duration::from_millis(20));
        second.is_served();
    }
    // One has to make room: that with which there is less patience.
    let mut third = rig.client();
    first.is_refused();
    assert_eq!(second.says("still here").unwrap(), "still here");
    third.is_served();
    assert_eq!(rig.metric("refused_total{domain=\"http\",reason=\"connections\"}"), 1.0);
}

#[test]
fn clients_that_say_nothing_make_room() {
    let rig = Rig::serving("connections = 10");
    let mut known = rig.client();
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(Client::connect(rig.front()));
        known.is_served();
    }
    for _ in 0..5 {
        Client::connect(rig.front()).is_served();
        known.is_served();
    }
    eventually("only so many are left", || rig.metric("clients{domain=\"http\"}") <= 10.0);
    drop(silent);
}

#[test]
fn lack_of_descriptors_is_not_the_domains_fault() {
    let mut rig = Rig::new();
    rig.echo("http", rig.back(), false);
    let direct = rig.command(&rig.config(""));
    let mut command = std::process::Command::new("bash");
    command.args(["-c", "ulimit -n 24; exec \"$@\"", "bash"]);
    command.arg(direct.get_program()).args(direct.get_args()).env_remove("JOURNAL_STREAM");
    command.stderr(fs::OpenOptions::new().append(true).open(rig.file("log")).unwrap());
    rig.start_by(command);
    let mut first = rig.client();
    let others: Vec<_> = (0..30).map(|_| Client::connect(rig.front())).collect();
    rig.says("Too many open files");
    // Clients that are being served go on, and others find room later.
    first.is_served();
    drop(others);
    eventually("a client is served", || Client::connect(rig.front()).says("hello").is_ok());
    assert_eq!(rig.calls(), ["create"]);
}

#[test]
fn death_resets_the_clients_and_the_next_one_starts_it_again() {
    let rig = Rig::serving("");
    let mut clients: Vec<_> = (0..5).map(|_| Client::connect(rig.front())).collect();
    clients.iter_mut().for_each(Client::is_served);
    rig.kill("http");
    clients.iter_mut().for_each(Client::is_refused);
    rig.says("warning: http: has ended");
    Client::connect(rig.front()).is_served();
    assert_eq!(rig.calls(), ["create", "create"]);
    assert_eq!(rig.metric("deaths_total{domain=\"http\"}"), 1.0);
}

#[test]
fn death_before_the_first_answer_is_a_failed_start() {
    let mut rig = Rig::new();
    rig.start(&rig.config("retry = \"1h\""));
    let mut client = Client::connect(rig.front());
    rig.says("http: created");
    rig.kill("http");
    client.is_refused();
    rig.says("it ended before it answered; its console says why");
    assert_eq!(rig.calls(), ["create"]);
}

#[test]
fn domain_that_restarts_by_itself_has_new_connections() {
    let rig = Rig::serving("");
    let mut client = rig.client();
    rig.knows_its_number();
    fs::write(rig.file("domains/http"), "99 -b---- 99 http\n").unwrap();
    rig.tell_of_a_death();
    client.is_refused();
    rig.says("has started anew");
    Client::connect(rig.front()).is_served();
    assert_eq!(rig.calls(), ["create"]);
}

#[test]
fn renamed_domain_is_still_the_same() {
    let rig = Rig::serving("");
    let mut client = rig.client();
    rig.knows_its_number();
    rig.rename("http", "other");
    rig.tell_of_a_death();
    rig.says("http: is called other now");
    client.is_served();
    Client::connect(rig.front()).is_served();
    assert_eq!(rig.calls(), ["create", "rename"]);
    // It may start anew under that name.
    fs::write(rig.file("domains/http"), "99 -b---- 99 other\n").unwrap();
    rig.tell_of_a_death();
    client.is_refused();
    rig.says("has started anew");
    Client::connect(rig.front()).is_served();
    // Its end is noticed, though another one has its name.
    fs::write(rig.file("domains/stranger"), "100 -b---- 100 http\n").unwrap();
    rig.kill("http");
    rig.says("warning: http: has ended");
    assert_eq!(rig.calls(), ["create", "rename"]);
}

#[test]
fn domain_that_is_renamed_and_restarts_before_anybody_looks_is_still_the_same() {
    let rig = Rig::serving("");
    let mut client = rig.client();
    rig.knows_its_number();
    // Another one has its name, too.
    fs::write(rig.file("domains/stranger"), "98 -b---- 98 http\n").unwrap();
    fs::write(rig.file("domains/http"), "99 -b---- 99 other\n").unwrap();
    rig.tell_of_a_death();
    client.is_refused();
    rig.says("http: has started anew");
    rig.says("http: is called other now");
    Client::connect(rig.front()).is_served();
    // Its number is known.
    rig.kill("http");
    rig.says("warning: http: has ended");
    assert_eq!(rig.calls(), ["create"]);
}

#[test]
fn renamed_domain_that_is_gone_while_it_restarts_is_not_created_beside_it() {
    let rig = Rig::serving("");
    let mut client = rig.client();
    rig.knows_its_number();
    rig.rename("http", "other");
    rig.tell_of_a_death();
    rig.says("http: is called other now");
    rig.kill("http");
    client.is_refused();
    rig.says("warning: http: has ended");
    fs::write(rig.file("domains/http"), "99 -b---- 99 other\n").unwrap();
    Client::connect(rig.front()).is_served();
    rig.says("http: has started anew");
    // It is followed from here on.
    rig.kill("http");
    eventually("its end is told", || rig.log().matches("http: has ended").count() == 2);
    assert_eq!(rig.calls(), ["create", "rename"]);
}
