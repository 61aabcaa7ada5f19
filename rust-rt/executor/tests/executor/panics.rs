//! Panics of tasks, with and without a guard.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use mirust_executor::poll::Ready;
use mirust_executor::{JoinError, yield_now};

use crate::mock::{PAST, Trace, domain};

/// What a crate with `std` hands in.
fn guard(call: &mut dyn FnMut()) -> Result<(), Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(call))
}

/// Panics without the hook's message on the test's output.
fn quiet_panic(message: &'static str) -> ! {
    resume_unwind(Box::new(message))
}

#[test]
fn a_panic_goes_to_the_handle_and_the_others_run_on() {
    let (d, t) = (domain(), Trace::default());
    d.set_guard(guard);
    for _ in 0..2 {
        let dropped = t.on_drop("dropped");
        let handle = d.spawn(async move {
            let _dropped = dropped;
            yield_now().await;
            quiet_panic("out of luck")
        });
        let t2 = t.clone();
        d.spawn(async move {
            yield_now().await;
            t2.log("the other");
        });
        let error: JoinError = d.block_on(handle).unwrap_err();
        assert_eq!(error.panic_message(), Some("out of luck"));
        assert_eq!(error.to_string(), "task panicked: out of luck");
        t.expect(&["dropped", "the other"]);
        assert_eq!(d.tasks(), 0);
    }
}

#[test]
fn a_panic_while_an_aborted_future_is_dropped_hurts_nobody() {
    struct PanicOnDrop;
    impl Drop for PanicOnDrop {
        fn drop(&mut self) {
            quiet_panic("in drop");
        }
    }
    let d = domain();
    d.set_guard(guard);
    let handle = d.spawn(async {
        let _bomb = PanicOnDrop;
        std::future::pending::<()>().await
    });
    d.poll(PAST);
    handle.abort();
    d.poll(PAST);
    assert!(matches!(d.block_on(handle), Err(JoinError::Aborted)));
    assert_eq!(d.tasks(), 0);
}

#[test]
fn without_a_guard_a_panic_leaves_the_poll_and_the_domain_works_on() {
    let d = domain();
    let handle = d.spawn(async { quiet_panic("unguarded") });
    let other = d.spawn(async { 5 });
    assert!(catch_unwind(AssertUnwindSafe(|| d.poll(PAST))).is_err());
    assert_eq!(d.poll(PAST), Ready::TIMER);
    assert!(d.block_on(handle).is_err());
    assert_eq!(d.block_on(other).unwrap(), 5);
}

#[test]
fn errors_say_what_happened() {
    assert_eq!(JoinError::Aborted.to_string(), "task aborted");
    assert_eq!(JoinError::Panicked(Box::new(7)).to_string(), "task panicked");
    let formatted = JoinError::Panicked(Box::new(String::from("n = 3")));
    assert_eq!(formatted.to_string(), "task panicked: n = 3");
    assert_eq!(format!("{formatted:?}"), "Panicked(Some(\"n = 3\"))");
}
