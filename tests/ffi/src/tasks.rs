//! Tasks, completions and closures called from tasks.

use mirust::ocaml::{BoxRoot, Closure, Completion, with_runtime};
use mirust::time::{Duration, sleep};

/// Completes the token after a while.
#[mirust::export]
fn test_complete_after(token: isize, ns: i64) {
    let completion = Completion::from_token(token);
    mirust::spawn(async move {
        sleep(Duration::from_nanos(ns as u64)).await;
        completion.complete();
    });
}

/// Calls the closure from a task: 1 if it could, 0 if there was no runtime to be had, 2 if there
/// was an exception. The result goes to the closure as well.
#[mirust::export]
fn test_call_from_task(f: BoxRoot<fn(isize) -> ()>) {
    mirust::spawn(async move {
        let called = with_runtime(|ocaml| f.call(ocaml, (1,)).is_ok());
        let code = match called {
            Ok(true) => return,
            Ok(false) => 2,
            Err(_) => 0,
        };
        let _ = with_runtime(|ocaml| f.call(ocaml, (code,)).is_ok());
    });
}

/// Calls the closure from a task that has slept.
#[mirust::export]
fn test_call_after(ns: i64, f: BoxRoot<fn(isize) -> ()>) {
    mirust::spawn(async move {
        sleep(Duration::from_nanos(ns as u64)).await;
        let _ = with_runtime(|ocaml| f.call(ocaml, (1,)).is_ok());
    });
}

/// A task that panics; the token completes when its handle says so.
#[mirust::export]
fn test_panic_in_task(token: isize) {
    let completion = Completion::from_token(token);
    let handle = mirust::spawn(async { panic!("in a task, as the test wants") });
    mirust::spawn(async move {
        let result: Result<(), _> = handle.await;
        if let Err(mirust::JoinError::Panicked(_)) = result {
            completion.complete();
        }
    });
}

/// Sleeps in a task, again and again.
#[mirust::export]
fn test_ticks(count: isize, ns: i64, token: isize) {
    let completion = Completion::from_token(token);
    mirust::spawn(async move {
        for _ in 0..count {
            sleep(Duration::from_nanos(ns as u64)).await;
        }
        completion.complete();
    });
}
