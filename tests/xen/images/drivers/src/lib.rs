//! An image that tries each part of Xen that every domain has. Its first argument names the case;
//! without one all of them run. Each prints `ok NAME` or ends the domain with a panic.

mod events;
mod grants;
mod store;

use mirust::time::{Duration, now, sleep, wall};
use mirust_rt::{domain, xen};

mirust::main!(run);

async fn run() -> i32 {
    match mirust::args().get(1).map(String::as_str) {
        None => all().await,
        Some("wait") => wait().await,
        Some("flood") => flood(),
        Some("lend") => grants::lend().await,
        Some("borrow") => grants::borrow().await,
        Some("echo") => echo().await,
        Some(other) => panic!("no such case: {other}"),
    }
    0
}

async fn all() {
    assert!(xen::present());
    clock().await;
    println!("ok clock");
    events::loopback().await;
    println!("ok events");
    events::limit();
    println!("ok limit");
    grants::copy();
    println!("ok copy");
    grants::growth();
    println!("ok growth");
    store::values().await;
    println!("ok values");
    store::errors().await;
    println!("ok errors");
    store::transactions().await;
    println!("ok transactions");
    store::watches().await;
    println!("ok watches");
    store::many().await;
    println!("ok many");
    store::reset().await;
    println!("ok reset");
    println!("all drivers work");
}

async fn clock() {
    let year_2020 = Duration::from_secs(1_577_836_800);
    assert!(wall() > year_2020, "wall clock {:?}", wall());
    let start = now();
    let stats = domain::stats();
    for ms in [1, 5, 20] {
        let before = now();
        sleep(Duration::from_millis(ms)).await;
        let slept = now().duration_since(before);
        assert!(slept >= Duration::from_millis(ms), "{ms} ms took {slept:?}");
    }
    assert!(now().duration_since(start) < Duration::from_secs(5), "the clock runs too fast");
    assert!(domain::stats().blocks > stats.blocks, "sleeping did not block");
}

/// Ends when the toolstack asks for it.
async fn wait() {
    println!("waiting");
    let reason = domain::shutdown_requested().await;
    println!("asked for {reason:?}");
    if reason == mirust::ShutdownReason::Reboot {
        xen::end(xen::hypervisor::EndReason::Reboot);
    }
}

/// More output than ring and backlog hold, and then the end at once.
fn flood() {
    for i in 0..3000 {
        println!("line {i:04} of what the ring cannot hold at once");
    }
}

/// Says back what comes in on the console.
async fn echo() {
    let console = xen::console().expect("the domain has a console");
    println!("ready");
    let line = console.read_line().await;
    println!("heard {}", String::from_utf8_lossy(&line));
}
