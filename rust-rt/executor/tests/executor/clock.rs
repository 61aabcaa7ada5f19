//! How often the poll looks at the clock: each look can be an exit to the hypervisor.

use std::rc::Rc;

use mirust_executor::poll::Ready;
use mirust_executor::time::Instant;
use mirust_executor::yield_now;

use crate::mock::{Trace, at, domain};

/// As OCaml's loop does: it looks at the clock, works, and polls.
#[test]
fn a_turn_that_an_event_begins_needs_no_look_of_the_poll() {
    let d = domain();
    let d2 = Rc::clone(&d);
    d.spawn(d.sleep_until(at(1_000_000)));
    d.platform().schedule(40, move || d2.signal_foreign());
    d.now();
    d.platform().take_looks();
    assert_eq!(d.poll(at(500)), Ready::FOREIGN);
    assert_eq!(d.platform().take_looks(), 0);
    assert_eq!(d.stats().wakeups, 1);
    assert_eq!(d.platform().take_waits(), [500]);
}

#[test]
fn a_block_that_no_event_ends_takes_one_look() {
    let d = domain();
    d.now();
    d.platform().take_looks();
    assert_eq!(d.poll(at(500)), Ready::TIMER);
    assert_eq!(d.platform().take_looks(), 1);
    assert_eq!(d.stats().wakeups, 0);
}

#[test]
fn a_caller_that_does_not_look_still_hears_of_its_timers() {
    let (d, t) = (domain(), Trace::default());
    let t2 = t.clone();
    let sleep = d.sleep_until(at(35));
    d.spawn(async move {
        sleep.await;
        t2.log("rust");
    });
    d.poll(Instant::ZERO);
    for now in [10, 20, 30, 40] {
        d.platform().set_now(now);
        d.signal_foreign();
        assert_eq!(d.poll(Instant::NEVER), Ready::FOREIGN);
        t.log(format!("{now}"));
    }
    t.expect(&["10", "20", "30", "rust", "40"]);
}

#[test]
fn timers_are_due_although_events_never_end() {
    let d = domain();
    for n in 1..=20 {
        d.platform().schedule(10 * n, || {});
    }
    let d2 = Rc::clone(&d);
    let sleep = d.sleep_until(at(55));
    d.spawn(async move {
        sleep.await;
        d2.signal_foreign();
    });
    d.now();
    assert_eq!(d.poll(Instant::NEVER), Ready::FOREIGN);
    let late = d.now().duration_since(at(55));
    assert!(late.as_nanos() <= 30, "{late:?}");
}

#[test]
fn timers_are_due_although_tasks_are_always_ready() {
    let d = domain();
    let d2 = Rc::clone(&d);
    d.spawn(async move {
        for now in 1..1000 {
            d2.platform().set_now(now);
            yield_now().await;
        }
        panic!("the timer has starved");
    });
    let d2 = Rc::clone(&d);
    let sleep = d.sleep_until(at(50));
    d.spawn(async move {
        sleep.await;
        d2.signal_foreign();
    });
    d.now();
    assert_eq!(d.poll(Instant::NEVER), Ready::FOREIGN);
    assert!(d.now() <= at(53), "{:?}", d.now());
}

#[test]
fn the_coarse_clock_stands_still_until_the_poll_or_a_look() {
    let d = domain();
    d.platform().set_now(10);
    assert_eq!(d.coarse_now(), at(10));
    d.platform().set_now(20);
    assert_eq!(d.coarse_now(), at(10));
    assert_eq!(d.now(), at(20));
    assert_eq!(d.coarse_now(), at(20));
    d.platform().set_now(30);
    d.signal_foreign();
    d.poll(Instant::NEVER);
    assert_eq!(d.coarse_now(), at(30));
}

#[test]
fn the_coarse_clock_is_of_after_a_block() {
    let (d, t) = (domain(), Trace::default());
    let (d2, t2) = (Rc::clone(&d), t.clone());
    let sleep = d.sleep_until(at(70));
    d.spawn(async move {
        sleep.await;
        t2.log(format!("{}", d2.coarse_now().as_nanos()));
        d2.signal_foreign();
    });
    d.now();
    d.poll(Instant::NEVER);
    t.expect(&["70"]);
}

#[test]
fn what_the_platform_knows_of_the_time_needs_no_look() {
    let d = domain();
    d.platform().recent.set(Some(7));
    d.platform().set_now(9);
    assert_eq!(d.recent_now(), at(7));
    assert_eq!(d.coarse_now(), at(7));
    assert_eq!(d.platform().take_looks(), 0);
    assert_eq!(d.now(), at(9));
    d.platform().recent.set(None);
    assert_eq!((d.platform().take_looks(), d.recent_now()), (1, at(9)));
}

#[test]
fn a_block_that_its_deadline_ends_needs_no_look_if_the_platform_knows() {
    let d = domain();
    d.now();
    d.platform().take_looks();
    d.platform().recent.set(Some(500));
    assert_eq!(d.poll(at(500)), Ready::TIMER);
    assert_eq!(d.platform().take_looks(), 0);
    assert_eq!(d.stats().wakeups, 0);
}
