//! The Rust half of an image that tests how guests live and die.

use mirust::ocaml::Completion;
use mirust::time::{Duration, now, sleep_until};

/// Prints `rust K` at `start + K * period` for each K up to `n`, then completes `done`. `start` is
/// in ns since boot, `period` in ns.
#[mirust::export]
fn probe_tick(start: isize, period: isize, n: isize, done: isize) {
    let done = Completion::from_token(done);
    let period = Duration::from_nanos(period as u64);
    mirust::spawn(async move {
        let mut next = mirust::time::Instant::from_nanos(start as u64);
        for k in 1..=n {
            next = next.saturating_add(period);
            sleep_until(next).await;
            assert!(now() >= next, "woken too early");
            println!("rust {k}");
        }
        done.complete();
    });
}

/// Panics; OCaml sees the exception `Mirust.Panic`.
#[mirust::export]
fn probe_panic() {
    panic!("a panic on purpose")
}

/// Panics in a task, which ends that task only.
#[mirust::export]
fn probe_panic_in_task() {
    mirust::spawn(async { panic!("a task's panic on purpose") });
}

/// Writes to the null page.
#[mirust::export]
fn probe_null_write() {
    let nowhere = core::hint::black_box(core::ptr::null_mut::<u8>());
    // SAFETY: none: that the fault is reported and ends the domain is what is tested.
    unsafe { nowhere.write_volatile(1) }
}
