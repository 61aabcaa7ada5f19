//! The domain poll: why it returns, when it blocks, and that it misses nothing.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;

use mirust_executor::poll::Ready;
use mirust_executor::shutdown::ShutdownReason;
use mirust_executor::time::Instant;
use mirust_executor::{Turn, yield_now};

use crate::mock::{PAST, Trace, at, domain, ns};
use crate::tasks::park;

#[test]
fn a_deadline_in_the_past_looks_at_everything_once_and_never_blocks() {
    let (d, t) = (domain(), Trace::default());
    d.platform().set_now(100);
    let t2 = t.clone();
    d.platform().raise(move || t2.log("event"));
    let t2 = t.clone();
    d.spawn(async move { t2.log("task") });
    assert_eq!(d.poll(at(99)), Ready::TIMER);
    t.expect(&["event", "task"]);
    assert_eq!(d.poll(PAST), Ready::TIMER);
    assert_eq!(d.poll(at(100)), Ready::TIMER);
    assert_eq!(d.platform().take_waits(), []);
}

#[test]
fn it_blocks_until_the_earlier_of_both_languages_deadlines() {
    let d = domain();
    d.spawn(d.sleep_until(at(30)));
    assert_eq!(d.poll(at(20)), Ready::TIMER);
    assert_eq!(d.poll(at(50)), Ready::TIMER);
    assert_eq!(d.platform().take_waits(), [20, 30, 50]);
    assert_eq!(d.stats().wakeups, 0);
}

#[test]
fn timers_of_both_languages_interleave_on_one_poll() {
    let (d, t) = (domain(), Trace::default());
    let mut interval = d.interval(ns(10));
    let t2 = t.clone();
    d.spawn(async move {
        loop {
            t2.log(format!("rust {}", interval.tick().await.as_nanos()));
        }
    });
    for i in 1..=3 {
        let deadline = at(15 * i);
        assert_eq!(d.poll(deadline), Ready::TIMER);
        t.log(format!("ocaml {}", deadline.as_nanos()));
    }
    t.expect(&["rust 10", "ocaml 15", "rust 20", "rust 30", "ocaml 30", "rust 40", "ocaml 45"]);
    let stats = d.stats();
    assert_eq!((stats.polls, stats.blocks, stats.timers_fired), (3, 6, 4));
}

#[test]
fn an_event_that_signals_ocaml_ends_the_poll() {
    let d = domain();
    let d2 = Rc::clone(&d);
    d.platform().schedule(40, move || d2.signal_foreign());
    assert_eq!(d.poll(Instant::NEVER), Ready::FOREIGN);
    assert_eq!(d.now(), at(40));
    // The signal is reported once.
    assert_eq!(d.poll(PAST), Ready::TIMER);
    let stats = d.stats();
    assert_eq!((stats.events, stats.blocks, stats.wakeups), (1, 1, 1));
}

#[test]
fn an_event_for_rust_alone_does_not_disturb_ocaml() {
    let (d, t) = (domain(), Trace::default());
    let slot: Rc<RefCell<Option<Waker>>> = Rc::default();
    d.spawn(park(Rc::clone(&slot)));
    let t2 = t.clone();
    d.platform().schedule(40, move || {
        t2.log("event");
        slot.take().unwrap().wake();
    });
    assert_eq!(d.poll(at(100)), Ready::TIMER);
    assert_eq!(d.now(), at(100));
    t.expect(&["event"]);
    assert_eq!(d.stats().tasks_run, 2);
}

#[test]
fn completions_are_reported_until_they_are_collected() {
    let d = domain();
    let d2 = Rc::clone(&d);
    d.spawn(async move {
        d2.complete(7);
        d2.complete(8);
    });
    assert_eq!(d.poll(Instant::NEVER), Ready::FOREIGN);
    assert_eq!(d.next_completion(), Some(7));
    assert_eq!(d.poll(Instant::NEVER), Ready::FOREIGN);
    assert_eq!(d.next_completion(), Some(8));
    assert_eq!(d.next_completion(), None);
    assert_eq!(d.poll(PAST), Ready::TIMER);
    assert_eq!(d.stats().completions, 2);
}

#[test]
fn several_reasons_are_reported_together() {
    let d = domain();
    d.complete(1);
    d.request_shutdown(ShutdownReason::Reboot);
    let ready = d.poll(PAST);
    assert_eq!(ready, Ready::FOREIGN | Ready::TIMER | Ready::SHUTDOWN);
    assert!(ready.contains(Ready::SHUTDOWN) && !ready.contains(Ready::NESTED));
}

#[test]
fn both_languages_hear_of_a_shutdown_request() {
    let (d, t) = (domain(), Trace::default());
    for name in ["a", "b"] {
        let (requested, t) = (d.shutdown_requested(), t.clone());
        d.spawn(async move { t.log(format!("{name}: {:?}", requested.await)) });
    }
    // Somebody who lost interest.
    drop(d.shutdown_requested());
    let d2 = Rc::clone(&d);
    d.platform().schedule(10, move || d2.request_shutdown(ShutdownReason::Poweroff));
    assert_eq!(d.shutdown_reason(), None);
    assert_eq!(d.poll(Instant::NEVER), Ready::SHUTDOWN);
    assert_eq!(d.shutdown_reason(), Some(ShutdownReason::Poweroff));
    t.expect(&["a: Poweroff", "b: Poweroff"]);
    // Reported once per request, but never forgotten.
    assert_eq!(d.poll(PAST), Ready::TIMER);
    assert_eq!(d.block_on(d.shutdown_requested()), ShutdownReason::Poweroff);
    d.request_shutdown(ShutdownReason::Reboot);
    assert_eq!(d.poll(Instant::NEVER), Ready::SHUTDOWN);
    assert_eq!(d.shutdown_reason(), Some(ShutdownReason::Reboot));
}

#[test]
fn the_next_shutdown_request_is_another_one() {
    let (d, t) = (domain(), Trace::default());
    d.request_shutdown(ShutdownReason::Poweroff);
    let (d2, t2) = (Rc::clone(&d), t.clone());
    d.spawn(async move {
        t2.log(format!("first: {:?}", d2.shutdown_requested().await));
        d2.next_shutdown_request().await;
        t2.log("next");
        d2.next_shutdown_request().await;
        t2.log("after that");
    });
    d.poll(PAST);
    t.expect(&["first: Poweroff"]);
    // As requests, not as an answer to each poll.
    d.poll(PAST);
    t.expect(&[]);
    d.request_shutdown(ShutdownReason::Poweroff);
    d.poll(PAST);
    t.expect(&["next"]);
    d.request_shutdown(ShutdownReason::Poweroff);
    d.poll(PAST);
    t.expect(&["after that"]);
}

#[test]
fn an_event_between_dispatch_and_wait_is_not_lost() {
    let d = domain();
    let d2 = Rc::clone(&d);
    *d.platform().before_wait.borrow_mut() = Some(Box::new(move || {
        let d3 = Rc::clone(&d2);
        d2.platform().raise(move || d3.signal_foreign());
    }));
    assert_eq!(d.poll(Instant::NEVER), Ready::FOREIGN);
    assert_eq!(d.stats().blocks, 1);
}

#[test]
fn a_completion_from_another_thread_between_park_and_wait_is_not_lost() {
    let d = domain();
    let remote = d.remote();
    *d.platform().before_wait.borrow_mut() = Some(Box::new(move || {
        std::thread::spawn(move || remote.complete(9)).join().unwrap();
    }));
    assert_eq!(d.poll(Instant::NEVER), Ready::FOREIGN);
    assert_eq!(d.next_completion(), Some(9));
}

#[test]
fn posts_of_the_domain_itself_need_no_notification() {
    let d = domain();
    let d2 = Rc::clone(&d);
    d.spawn(async move {
        yield_now().await;
        d2.complete(1);
    });
    assert_eq!(d.poll(Instant::NEVER), Ready::FOREIGN);
    assert!(!d.platform().notified.load(std::sync::atomic::Ordering::SeqCst));
}

#[test]
fn a_wait_that_returns_for_no_reason_is_repeated() {
    let d = domain();
    d.platform().spurious.set(3);
    assert_eq!(d.poll(at(10)), Ready::TIMER);
    assert_eq!(d.platform().take_waits(), [10, 10, 10, 10]);
    assert_eq!(d.stats().wakeups, 3);
}

#[test]
fn a_poll_out_of_a_task_is_answered_with_nested() {
    let d = domain();
    let d2 = Rc::clone(&d);
    let handle = d.spawn(async move {
        d2.signal_foreign();
        d2.poll(Instant::NEVER)
    });
    // The signal was not taken by the nested call.
    assert_eq!(d.poll(Instant::NEVER), Ready::FOREIGN);
    assert_eq!(d.block_on(handle).unwrap(), Ready::NESTED);
    assert_eq!(d.stats().polls, 1);
}

#[test]
fn tasks_alone_have_a_turn_and_nothing_else_happens() {
    let (d, t) = (domain(), Trace::default());
    let t2 = t.clone();
    d.platform().raise(move || t2.log("event"));
    d.spawn(d.sleep_until(at(0)));
    let (d2, t2) = (Rc::clone(&d), t.clone());
    d.spawn(async move {
        d2.signal_foreign();
        t2.log("task");
        yield_now().await;
        assert_eq!(d2.run_tasks(9), Turn::default(), "out of a task");
        t2.log("again");
    });
    assert_eq!(d.run_tasks(1), Turn { run: 1, more: 1 });
    t.expect(&[]);
    assert_eq!(d.run_tasks(9), Turn { run: 1, more: 0 });
    t.expect(&["task"]);
    assert_eq!((d.stats().polls, d.stats().timers_fired, d.stats().tasks_run), (0, 0, 2));
    // What was signalled meanwhile is still told.
    assert_eq!(d.poll(Instant::NEVER), Ready::FOREIGN);
    t.expect(&["event", "again"]);
    assert_eq!(d.platform().take_waits(), []);
}

#[test]
fn a_poll_out_of_an_event_handler_is_answered_with_nested() {
    let (d, answer) = (domain(), Rc::new(Cell::new(Ready::empty())));
    let (d2, answer2) = (Rc::clone(&d), Rc::clone(&answer));
    d.platform().raise(move || answer2.set(d2.poll(PAST)));
    assert_eq!(d.poll(PAST), Ready::TIMER);
    assert_eq!(answer.get(), Ready::NESTED);
}

#[test]
#[should_panic(expected = "await instead")]
fn block_on_out_of_a_task_is_refused() {
    let d = domain();
    let d2 = Rc::clone(&d);
    d.spawn(async move { d2.block_on(async {}) });
    d.poll(PAST);
}

#[test]
fn block_on_leaves_what_is_ocamls_for_ocaml() {
    let d = domain();
    d.complete(3);
    d.signal_foreign();
    d.request_shutdown(ShutdownReason::Halt);
    d.block_on(d.sleep(ns(20)));
    // It did sleep, though OCaml has work.
    assert_eq!(d.platform().take_waits(), [20]);
    assert_eq!(d.poll(Instant::NEVER), Ready::FOREIGN | Ready::SHUTDOWN);
    assert_eq!(d.next_completion(), Some(3));
}

#[test]
fn block_on_with_runs_the_other_language() {
    let (d, t) = (domain(), Trace::default());
    let (d2, t2) = (Rc::clone(&d), t.clone());
    let foreign = move |ready: Ready| {
        while let Some(token) = d2.next_completion() {
            t2.log(format!("token {token}"));
        }
        if ready.contains(Ready::TIMER) {
            t2.log(format!("timer at {}", d2.now().as_nanos()));
        }
        // OCaml has one timer, at 5.
        if d2.now() < at(5) { at(5) } else { Instant::NEVER }
    };
    let d2 = Rc::clone(&d);
    d.block_on_with(
        async {
            d2.sleep(ns(3)).await;
            d2.complete(1);
            d2.sleep(ns(6)).await;
        },
        foreign,
    );
    t.expect(&["token 1", "timer at 5"]);
    assert_eq!(d.now(), at(9));
}

#[test]
fn a_shutdown_request_that_comes_as_the_future_ends_is_told_to_the_next_block_on() {
    let d = domain();
    let told = std::cell::Cell::new(Ready::empty());
    let wait = |request: bool| {
        let mut first = true;
        let future = std::future::poll_fn(|cx| {
            if std::mem::take(&mut first) {
                // Both in the poll that follows.
                if request {
                    d.request_shutdown(ShutdownReason::Poweroff);
                }
                cx.waker().wake_by_ref();
                return std::task::Poll::Pending;
            }
            std::task::Poll::Ready(())
        });
        d.block_on_with(future, |ready| {
            told.set(told.get() | ready);
            Instant::NEVER
        });
    };
    wait(true);
    assert!(!told.get().contains(Ready::SHUTDOWN));
    d.block_on_with(d.sleep(ns(5)), |ready| {
        told.set(told.get() | ready);
        Instant::NEVER
    });
    assert!(told.take().contains(Ready::SHUTDOWN));
    wait(false);
    d.block_on_with(d.sleep(ns(5)), |ready| {
        told.set(told.get() | ready);
        Instant::NEVER
    });
    assert!(!told.get().contains(Ready::SHUTDOWN), "told once");
}

#[test]
fn block_on_inside_the_future_of_a_block_on_takes_no_wake_up_from_it() {
    let d = domain();
    let d2 = Rc::clone(&d);
    d.block_on(async move {
        // Wakes the outer future, then waits in an inner one, which sees that signal first.
        let inner = std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            d2.block_on(d2.sleep(ns(5)));
            std::task::Poll::Ready(())
        });
        inner.await;
        yield_now().await;
    });
    assert_eq!(d.now(), at(5));
}

#[test]
fn counters_start_at_zero() {
    assert_eq!(domain().stats(), mirust_executor::poll::PollStats::default());
}

#[test]
fn a_loop_of_others_rests_until_there_is_work_and_runs_it_by_itself() {
    let (d, t) = (domain(), Trace::default());
    let t2 = t.clone();
    let sleep = d.sleep_until(at(30));
    d.spawn(async move {
        t2.log("spawned");
        sleep.await;
        t2.log("woken");
    });
    assert!(d.has_work());
    d.rest(at(50), || unreachable!("there is work"));
    t.expect(&[]);
    assert_eq!(d.poll(PAST), Ready::TIMER);
    t.expect(&["spawned"]);
    assert!(!d.has_work());
    // Until the task's timer, which is the earlier of both.
    d.rest(at(50), || false);
    assert!(d.has_work(), "a timer is due");
    assert_eq!(d.poll(PAST), Ready::TIMER);
    t.expect(&["woken"]);
    // Until the caller's deadline.
    d.rest(at(50), || false);
    assert!(!d.has_work());
    assert_eq!(d.platform().take_waits(), [30, 50]);
}

#[test]
fn who_rests_is_woken_by_events_and_completions_and_stays_awake_for_reasons_of_its_own() {
    let d = domain();
    let d2 = Rc::clone(&d);
    d.platform().schedule(40, move || d2.complete(7));
    d.rest(Instant::NEVER, || false);
    assert!(d.has_work());
    assert_eq!(d.now(), at(40));
    assert_eq!(d.next_completion(), Some(7));
    // An event that means something to the caller alone: it is dispatched before the caller is asked.
    let seen = Rc::new(Cell::new(false));
    let seen2 = Rc::clone(&seen);
    d.platform().raise(move || seen2.set(true));
    d.rest(Instant::NEVER, || seen.get());
    assert_eq!(d.platform().take_waits().len(), 1);
    // One that comes in the gap before the block ends it.
    let d2 = Rc::clone(&d);
    *d.platform().before_wait.borrow_mut() = Some(Box::new(move || {
        let d3 = Rc::clone(&d2);
        d2.platform().raise(move || d3.signal_foreign());
    }));
    d.rest(Instant::NEVER, || false);
    assert!(d.has_work());
    assert_eq!(d.poll(PAST), Ready::FOREIGN | Ready::TIMER);
}

#[test]
fn inside_a_poll_nobody_rests() {
    let d = domain();
    let d2 = Rc::clone(&d);
    d.spawn(async move {
        assert!(!d2.has_work());
        d2.rest(Instant::NEVER, || false);
    });
    assert_eq!(d.poll(PAST), Ready::TIMER);
    assert_eq!(d.platform().take_waits(), []);
}
