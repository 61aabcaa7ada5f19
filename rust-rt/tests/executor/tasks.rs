//! Spawn, order, fairness, join and abort.

use mirust_rt::executor::{JoinError, yield_now};
use mirust_rt::poll::Ready;

use crate::mock::{PAST, Trace, domain};

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
}

#[test]
fn join_gives_the_result() {
    let d = domain();
    let handle = d.spawn(async { 42 });
    assert!(!handle.is_finished());
    assert_eq!(d.block_on(handle).unwrap(), 42);
}

#[test]
fn abort_before_the_first_poll_drops_the_future_unpolled() {
    let (d, t) = (domain(), Trace::default());
    let guard = t.on_drop("dropped");
    let t2 = t.clone();
    let handle = d.spawn(async move {
        let _guard = guard;
        t2.log("polled");
    });
    handle.abort();
    t.expect(&[]);
    assert!(matches!(d.block_on(handle), Err(JoinError::Aborted)));
    t.expect(&["dropped"]);
}
