//! Spawn, order, fairness, wake-ups and join.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use mirust_executor::poll::{Domain, Ready, TURN_BUDGET, TURN_FLOOR};
use mirust_executor::time::Instant;
use mirust_executor::{JoinError, Turn, yield_now};

use crate::mock::{Mock, PAST, Trace, domain, ns};

/// Pends for ever, and leaves its waker where the test finds it.
pub async fn park(slot: Rc<RefCell<Option<Waker>>>) {
    poll_fn(|cx| {
        *slot.borrow_mut() = Some(cx.waker().clone());
        Poll::<()>::Pending
    })
    .await
}

#[test]
fn spawned_tasks_run_in_order_and_not_before_the_poll() {
    let (d, t) = (domain(), Trace::default());
    for name in ["a", "b", "c"] {
        let t = t.clone();
        d.spawn(async move { t.log(name) });
    }
    t.expect(&[]);
    assert_eq!(d.poll(PAST), Ready::TIMER);
    t.expect(&["a", "b", "c"]);
    assert_eq!(d.tasks(), 0);
}

#[test]
fn a_task_woken_during_its_poll_runs_in_the_next_turn() {
    let (d, t) = (domain(), Trace::default());
    for name in ["a", "b"] {
        let t = t.clone();
        d.spawn(async move {
            for i in 0..3 {
                t.log(format!("{name}{i}"));
                yield_now().await;
            }
        });
    }
    d.poll(PAST);
    t.expect(&["a0", "b0"]);
    d.poll(PAST);
    t.expect(&["a1", "b1"]);
    d.poll(PAST);
    t.expect(&["a2", "b2"]);
    assert_eq!(d.tasks(), 2);
    d.poll(PAST);
    assert_eq!(d.tasks(), 0);
    assert_eq!(d.stats().tasks_run, 8);
}

#[test]
fn a_task_spawned_by_a_task_runs_in_the_next_turn() {
    let (d, t) = (domain(), Trace::default());
    let (d2, t2) = (Rc::clone(&d), t.clone());
    d.spawn(async move {
        t2.log("parent");
        let t3 = t2.clone();
        d2.spawn(async move { t3.log("child") });
    });
    d.poll(PAST);
    t.expect(&["parent"]);
    d.poll(PAST);
    t.expect(&["child"]);
}

#[test]
fn a_turn_has_all_tasks_that_are_ready() {
    let d = domain();
    for _ in 0..20 * TURN_FLOOR {
        d.spawn(yield_now());
    }
    d.poll(PAST);
    assert_eq!(d.stats().tasks_run, 20 * TURN_FLOOR as u64);
}

#[test]
fn a_turn_ends_at_the_budget_and_the_rest_keeps_its_order() {
    let (d, t) = (domain(), Trace::default());
    // The first look at the clock is when the floor has run, and the second when the floor has run twice.
    let tasks = 2 * TURN_FLOOR + 2;
    for i in 0..tasks {
        let (clock, t) = (Rc::clone(&d), t.clone());
        let step = TURN_BUDGET.as_nanos() as u64 / TURN_FLOOR as u64 + 1;
        d.spawn(async move {
            clock.platform().set_now(clock.now().as_nanos() + step);
            t.log(i.to_string());
        });
    }
    d.poll(PAST);
    assert_eq!(d.stats().tasks_run, 2 * TURN_FLOOR as u64);
    assert_eq!(d.tasks(), 2);
    d.poll(PAST);
    assert_eq!(d.tasks(), 0);
    let all: Vec<_> = (0..tasks).map(|i| i.to_string()).collect();
    t.expect(&all.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_turn_that_the_budget_ends_asks_for_no_other() {
    let d = domain();
    let tasks = 4 * TURN_FLOOR;
    for _ in 0..tasks {
        let clock = Rc::clone(&d);
        d.spawn(async move {
            clock.platform().set_now(clock.now().as_nanos() + TURN_BUDGET.as_nanos() as u64);
        });
    }
    // So few that nobody looks at the clock.
    assert_eq!(d.run_tasks(1), Turn { run: 1, more: tasks - 1 });
    let most = 3 * TURN_FLOOR;
    assert_eq!(d.run_tasks(most), Turn { run: 2 * TURN_FLOOR, more: 0 }, "of {most}");
    assert_eq!(d.tasks(), tasks - 1 - 2 * TURN_FLOOR);
}

#[test]
fn tasks_that_are_always_ready_leave_ocaml_and_timers_their_turn() {
    let (d, t) = (domain(), Trace::default());
    let d2 = Rc::clone(&d);
    d.spawn(async move {
        loop {
            let now = d2.now().as_nanos();
            d2.platform().set_now(now + 1);
            yield_now().await;
        }
    });
    let (sleep, t2) = (d.sleep(ns(5)), t.clone());
    d.spawn(async move {
        sleep.await;
        t2.log("timer");
    });
    assert_eq!(d.poll(Instant::from_nanos(10)), Ready::TIMER);
    t.expect(&["timer"]);
    d.signal_foreign();
    assert_eq!(d.poll(Instant::NEVER), Ready::FOREIGN);
    assert_eq!(d.stats().blocks, 0);
}

#[test]
fn any_number_of_wakes_is_one_turn() {
    let d = domain();
    let slot = Rc::default();
    d.spawn(park(Rc::clone(&slot)));
    d.poll(PAST);
    let waker = slot.take().unwrap();
    for _ in 0..5 {
        waker.wake_by_ref();
    }
    d.poll(PAST);
    d.poll(PAST);
    assert_eq!(d.stats().tasks_run, 2);
}

#[test]
fn a_waker_kept_past_the_end_wakes_nobody_not_even_a_successor() {
    let d = domain();
    let slot: Rc<RefCell<Option<Waker>>> = Rc::default();
    let handle = d.spawn(park(Rc::clone(&slot)));
    d.poll(PAST);
    handle.abort();
    d.poll(PAST);
    let stale = slot.take().unwrap();
    // This task gets the place of the first one.
    d.spawn(park(Rc::clone(&slot)));
    d.poll(PAST);
    let before = d.stats().tasks_run;
    stale.wake();
    d.poll(PAST);
    assert_eq!(d.stats().tasks_run, before);
}

#[test]
fn a_waker_outlives_its_domain() {
    let slot = Rc::default();
    let d = Domain::new(Mock::default());
    d.spawn(park(Rc::clone(&slot)));
    d.poll(PAST);
    drop(d);
    slot.take().unwrap().wake();
}

#[test]
fn a_wake_from_another_thread_ends_the_wait() {
    let d = domain();
    let slot: Rc<RefCell<Option<Waker>>> = Rc::default();
    let parked = Rc::clone(&slot);
    let d2 = Rc::clone(&d);
    let handle = d.spawn(async move {
        poll_fn(move |cx| {
            // The mock's time stands still, so the only way out of the wait is the wake.
            match parked.replace(Some(cx.waker().clone())) {
                None => Poll::Pending,
                Some(_) => Poll::Ready(()),
            }
        })
        .await;
        d2.now()
    });
    let slot2 = Rc::clone(&slot);
    *d.platform().before_wait.borrow_mut() = Some(Box::new(move || {
        let waker = slot2.borrow().clone().unwrap();
        std::thread::spawn(move || waker.wake()).join().unwrap();
    }));
    assert_eq!(d.block_on(handle).unwrap(), PAST);
    assert_eq!(d.stats().blocks, 1);
    assert_eq!(d.stats().wakeups, 1);
}

#[test]
fn join_gives_the_result_before_and_after_the_end() {
    let d = domain();
    let handle = d.spawn(async { 42 });
    assert!(!handle.is_finished());
    assert_eq!(d.block_on(handle).unwrap(), 42);

    let handle = d.spawn(async { 43 });
    d.poll(PAST);
    assert!(handle.is_finished());
    assert_eq!(d.block_on(handle).unwrap(), 43);
}

#[test]
fn the_future_is_dropped_before_the_handle_gives_the_result() {
    let (d, t) = (domain(), Trace::default());
    let guard = t.on_drop("future dropped");
    let handle = d.spawn(async move {
        let _guard = guard;
        yield_now().await;
    });
    let t2 = t.clone();
    d.block_on(async move {
        handle.await.unwrap();
        t2.log("joined");
    });
    t.expect(&["future dropped", "joined"]);
}

#[test]
fn a_detached_task_runs_on_and_its_result_is_dropped() {
    let (d, t) = (domain(), Trace::default());
    let result = t.on_drop("result dropped");
    let t2 = t.clone();
    drop(d.spawn(async move {
        yield_now().await;
        t2.log("ended");
        result
    }));
    d.poll(PAST);
    t.expect(&[]);
    d.poll(PAST);
    t.expect(&["ended", "result dropped"]);
}

#[test]
fn a_handle_can_wait_in_another_task_than_at_first() {
    let (d, t) = (domain(), Trace::default());
    let slot = Rc::default();
    let mut handle = d.spawn(park(Rc::clone(&slot)));
    // Polled once by a task that then goes away...
    d.block_on(async {
        let once = poll_fn(|cx| {
            assert!(std::pin::Pin::new(&mut handle).poll(cx).is_pending());
            Poll::Ready(())
        });
        once.await
    });
    handle.abort();
    // ... and awaited here.
    let t2 = t.clone();
    d.spawn(async move {
        assert!(handle.await.is_err());
        t2.log("joined");
    });
    d.poll(PAST);
    d.poll(PAST);
    t.expect(&["joined"]);
}

#[test]
#[should_panic(expected = "polled after it gave its result")]
fn a_handle_gives_its_result_once() {
    let d = domain();
    let mut handle = d.spawn(async {});
    d.block_on(&mut handle).unwrap();
    let _ = d.block_on(&mut handle);
}

#[test]
fn tasks_may_spawn_and_wake_while_they_are_dropped() {
    struct SpawnOnDrop(crate::mock::MockDomain, Trace);
    impl Drop for SpawnOnDrop {
        fn drop(&mut self) {
            let t = self.1.clone();
            self.0.spawn(async move { t.log("spawned by drop") });
        }
    }
    let (d, t) = (domain(), Trace::default());
    let bomb = SpawnOnDrop(Rc::clone(&d), t.clone());
    let handle = d.spawn(async move {
        let _bomb = bomb;
        std::future::pending::<()>().await
    });
    d.poll(PAST);
    handle.abort();
    d.poll(PAST);
    d.poll(PAST);
    t.expect(&["spawned by drop"]);
}

#[test]
fn handles_hear_of_the_end_of_the_domain() {
    let d = Domain::new(Mock::default());
    let handle = d.spawn(std::future::pending::<()>());
    d.poll(PAST);
    drop(d);
    assert!(handle.is_finished());
    let other = domain();
    assert!(matches!(other.block_on(handle), Err(JoinError::Aborted)));
}

#[test]
fn ten_thousand_tasks_come_and_go() {
    const ROUNDS: u64 = if cfg!(miri) { 2 } else { 100 };
    let d = domain();
    let d2 = Rc::clone(&d);
    let sum = d.block_on(async move {
        let mut sum = 0;
        for round in 0..ROUNDS {
            let handles: Vec<_> = (0..100u64).map(|i| d2.spawn(async move { round * i })).collect();
            for handle in handles {
                sum += handle.await.unwrap();
            }
        }
        sum
    });
    assert_eq!(sum, (0..ROUNDS).sum::<u64>() * (0..100).sum::<u64>());
    assert_eq!(d.tasks(), 0);
}
