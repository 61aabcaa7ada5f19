//! Abort, at each stage of a task's life.

use std::cell::RefCell;
use std::rc::Rc;

use mirust_executor::{JoinError, JoinHandle, yield_now};

use crate::mock::{PAST, Trace, at, domain, ns};

#[test]
fn before_the_first_poll_the_future_is_dropped_unpolled() {
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

#[test]
fn while_it_is_idle_the_future_is_dropped_at_the_next_turn() {
    let (d, t) = (domain(), Trace::default());
    let guard = t.on_drop("dropped");
    let handle = d.spawn(async move {
        let _guard = guard;
        std::future::pending::<()>().await
    });
    d.poll(PAST);
    handle.abort();
    handle.abort();
    t.expect(&[]);
    assert!(!handle.is_finished());
    d.poll(PAST);
    t.expect(&["dropped"]);
    assert!(handle.is_finished());
    assert_eq!(d.tasks(), 0);
}

#[test]
fn while_it_is_queued_it_is_not_polled_again() {
    let (d, t) = (domain(), Trace::default());
    let t2 = t.clone();
    let handle = d.spawn(async move {
        t2.log("first");
        yield_now().await;
        t2.log("second");
    });
    d.poll(PAST);
    handle.abort();
    assert!(matches!(d.block_on(handle), Err(JoinError::Aborted)));
    t.expect(&["first"]);
}

/// A task that gets its own handle.
fn spawn_with_handle<F: Future<Output = ()> + 'static>(
    d: &crate::mock::MockDomain,
    task: impl FnOnce(Rc<RefCell<Option<JoinHandle<()>>>>) -> F,
) -> Rc<RefCell<Option<JoinHandle<()>>>> {
    let slot = Rc::new(RefCell::new(None));
    let handle = d.spawn(task(Rc::clone(&slot)));
    slot.replace(Some(handle));
    slot
}

#[test]
fn by_itself_it_runs_to_its_next_wait() {
    let (d, t) = (domain(), Trace::default());
    let t2 = t.clone();
    let handle = spawn_with_handle(&d, |me| async move {
        me.borrow().as_ref().unwrap().abort();
        t2.log("still here");
        std::future::pending::<()>().await
    });
    d.poll(PAST);
    t.expect(&["still here"]);
    assert_eq!(d.tasks(), 1);
    d.poll(PAST);
    assert_eq!(d.tasks(), 0);
    let handle = handle.take().unwrap();
    assert!(matches!(d.block_on(handle), Err(JoinError::Aborted)));
}

#[test]
fn by_itself_in_its_last_poll_the_result_counts() {
    let d = domain();
    let handle = spawn_with_handle(&d, |me| async move {
        me.borrow().as_ref().unwrap().abort();
    });
    d.poll(PAST);
    let handle = handle.take().unwrap();
    assert!(d.block_on(handle).is_ok());
    d.poll(PAST);
    assert_eq!(d.tasks(), 0);
}

#[test]
fn after_the_end_it_does_nothing() {
    let d = domain();
    let handle = d.spawn(async { 7 });
    d.poll(PAST);
    handle.abort();
    d.poll(PAST);
    assert_eq!(d.stats().tasks_run, 1);
    assert_eq!(d.block_on(handle).unwrap(), 7);
}

#[test]
fn a_sleeping_task_takes_its_timer_with_it() {
    let d = domain();
    let sleep = d.sleep(ns(100));
    let handle = d.spawn(sleep);
    d.poll(PAST);
    handle.abort();
    d.poll(at(500));
    assert_eq!(d.platform().take_waits(), [500]);
    assert_eq!(d.stats().timers_fired, 0);
}

#[test]
fn a_task_may_abort_the_next_one_in_the_queue() {
    let (d, t) = (domain(), Trace::default());
    let victim: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
    let v = Rc::clone(&victim);
    d.spawn(async move { v.borrow().as_ref().unwrap().abort() });
    let t2 = t.clone();
    victim.replace(Some(d.spawn(async move { t2.log("polled") })));
    d.poll(PAST);
    t.expect(&[]);
    assert!(victim.borrow().as_ref().unwrap().is_finished());
}

#[test]
fn an_aborted_task_may_abort_another_while_it_is_dropped() {
    struct AbortOnDrop(JoinHandle<()>);
    impl Drop for AbortOnDrop {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let (d, t) = (domain(), Trace::default());
    let guard = t.on_drop("child dropped");
    let child = AbortOnDrop(d.spawn(async move {
        let _guard = guard;
        std::future::pending::<()>().await
    }));
    let parent = d.spawn(async move {
        let _child = child;
        std::future::pending::<()>().await
    });
    d.poll(PAST);
    parent.abort();
    d.poll(PAST);
    t.expect(&[]);
    d.poll(PAST);
    t.expect(&["child dropped"]);
    assert_eq!(d.tasks(), 0);
}
