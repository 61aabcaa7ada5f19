//! Sleep, timeout and interval.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use mirust_executor::Elapsed;
use mirust_executor::poll::Ready;
use mirust_executor::time::Instant;

use crate::mock::{PAST, Trace, at, domain, ns};

#[test]
fn timers_fire_by_deadline_and_equal_ones_in_the_order_they_were_set() {
    let (d, t) = (domain(), Trace::default());
    for (name, deadline) in [("c", 30), ("a", 10), ("b1", 20), ("b2", 20)] {
        let (sleep, t) = (d.sleep_until(at(deadline)), t.clone());
        d.spawn(async move {
            sleep.await;
            t.log(name);
        });
    }
    assert_eq!(d.poll(at(100)), Ready::TIMER);
    t.expect(&["a", "b1", "b2", "c"]);
    assert_eq!(d.platform().take_waits(), [10, 20, 30, 100]);
    assert_eq!(d.stats().timers_fired, 4);
}

#[test]
fn all_that_is_due_at_one_wake_up_fires_together() {
    let (d, t) = (domain(), Trace::default());
    for deadline in [10, 11, 12] {
        let (sleep, t) = (d.sleep_until(at(deadline)), t.clone());
        d.spawn(async move {
            sleep.await;
            t.log(deadline.to_string());
        });
    }
    d.poll(PAST);
    d.platform().set_now(50);
    d.poll(PAST);
    t.expect(&["10", "11", "12"]);
    assert_eq!(d.stats().blocks, 0);
}

#[test]
fn a_deadline_that_has_passed_ends_at_once() {
    let d = domain();
    d.platform().set_now(100);
    d.poll(PAST);
    d.block_on(d.sleep_until(at(100)));
    d.block_on(d.sleep_until(PAST));
    d.block_on(d.sleep(ns(0)));
    assert_eq!(d.stats().blocks, 0);
}

#[test]
fn a_sleep_without_end_sets_no_deadline() {
    let d = domain();
    d.spawn(d.sleep_until(Instant::NEVER));
    d.platform().schedule(70, || ());
    d.poll(at(90));
    assert_eq!(d.platform().take_waits(), [90, 90]);
}

#[test]
fn a_dropped_sleep_is_cancelled() {
    let d = domain();
    let mut sleep = Box::pin(d.sleep(ns(10)));
    d.block_on(poll_fn(|cx| {
        assert!(sleep.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    }));
    drop(sleep);
    d.poll(at(50));
    assert_eq!(d.platform().take_waits(), [50]);
}

#[test]
fn a_sleep_can_be_moved() {
    let d = domain();
    let mut sleep = d.sleep(ns(10));
    d.block_on(&mut sleep);
    assert_eq!(d.now(), at(10));
    sleep.reset(at(25));
    assert_eq!(sleep.deadline(), at(25));
    d.block_on(sleep);
    assert_eq!(d.now(), at(25));
}

#[test]
fn a_sleep_wakes_the_task_that_polled_it_last() {
    let d = domain();
    let mut sleep = d.sleep(ns(10));
    d.block_on(poll_fn(|cx| {
        assert!(Pin::new(&mut sleep).poll(cx).is_pending());
        Poll::Ready(())
    }));
    let handle = d.spawn(sleep);
    d.block_on(handle).unwrap();
    assert_eq!(d.now(), at(10));
    assert_eq!(d.stats().timers_fired, 1);
}

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_sleep_that_is_polled_by_two_in_turn_wakes_the_last() {
    for order in [&[0, 0][..], &[0, 1], &[0, 1, 0], &[0, 1, 1], &[0, 0, 1, 1, 0, 0]] {
        let d = domain();
        let both: [Arc<Woken>; 2] = Default::default();
        let mut sleep = d.sleep(ns(10));
        for who in order {
            let waker = Waker::from(Arc::clone(&both[*who]));
            assert!(Pin::new(&mut sleep).poll(&mut Context::from_waker(&waker)).is_pending());
        }
        d.poll(at(10));
        let woken = both.each_ref().map(|one| one.0.load(Ordering::Relaxed));
        let mut expected = [0; 2];
        expected[*order.last().unwrap()] = 1;
        assert_eq!(woken, expected, "{order:?}");
    }
}

#[test]
fn timeout_gives_the_result_or_elapsed() {
    let (d, t) = (domain(), Trace::default());
    assert_eq!(d.block_on(d.timeout(ns(10), async { 1 })), Ok(1));
    assert_eq!(d.block_on(d.timeout(ns(10), d.sleep(ns(3)))), Ok(()));
    assert_eq!(d.now(), at(3));

    let guard = t.on_drop("dropped");
    let endless = async move {
        let _guard = guard;
        pending::<()>().await
    };
    assert_eq!(d.block_on(d.timeout(ns(10), endless)), Err(Elapsed));
    t.expect(&["dropped"]);
    assert_eq!(d.now(), at(13));
}

#[test]
fn a_result_at_the_very_limit_counts() {
    let d = domain();
    let work = d.sleep(ns(10));
    assert_eq!(d.block_on(d.timeout(ns(10), work)), Ok(()));
}

#[test]
fn timeout_counts_from_its_call() {
    let d = domain();
    let limited = d.timeout(ns(10), pending::<()>());
    d.platform().set_now(8);
    assert_eq!(d.block_on(limited), Err(Elapsed));
    assert_eq!(d.now(), at(10));
}

#[test]
fn an_interval_keeps_its_rhythm_and_leaves_missed_ticks_out() {
    let d = domain();
    d.platform().set_now(1);
    let mut interval = d.interval(ns(10));
    let d2 = Rc::clone(&d);
    let ticks = d.block_on(async move {
        let mut ticks = Vec::new();
        for busy in [0, 4, 25, 0, 0] {
            ticks.push((interval.tick().await.as_nanos(), d2.now().as_nanos()));
            d2.platform().set_now(d2.now().as_nanos() + busy);
        }
        ticks
    });
    // Due and seen. Busy from 31 to 56: the tick of 41 comes late, that of 51 not at all.
    assert_eq!(ticks, [(11, 11), (21, 21), (31, 31), (41, 56), (61, 61)]);
}

#[test]
fn an_interval_loses_no_tick_to_a_dropped_future() {
    let d = domain();
    let mut interval = d.interval(ns(10));
    let first = d.block_on(d.timeout(ns(4), interval.tick()));
    assert_eq!(first, Err(Elapsed));
    assert_eq!(d.block_on(interval.tick()), at(10));
}

#[test]
#[should_panic(expected = "an interval needs a period")]
fn an_interval_without_period_is_refused() {
    let _ = domain().interval(ns(0));
}

#[test]
fn an_interval_longer_than_the_clock_ticks_never() {
    let d = domain();
    let mut interval = d.interval(mirust_executor::time::Duration::MAX);
    assert_eq!(d.block_on(d.timeout(ns(5), interval.tick())), Err(Elapsed));
}
