//! Futures that OCaml awaits, and promises that Rust awaits.

use std::cell::Cell;

use mirust::ocaml::{AsyncClosure, BoxRoot, OCamlPromise, Promise, PromiseError, ToOCaml};
use mirust::ocaml::{futures_awaited, promises_awaited, with_runtime};
use mirust::time::{Duration, sleep};

#[mirust::export]
async fn test_future_isize(n: isize) -> isize {
    n + 1
}

#[mirust::export]
async fn test_future_i64(n: i64) -> i64 {
    n + 1
}

#[mirust::export]
async fn test_future_f64(x: f64) -> f64 {
    x / 2.
}

#[mirust::export]
async fn test_future_string(s: String, ns: i64) -> String {
    sleep(Duration::from_nanos(ns as u64)).await;
    s.to_uppercase()
}

#[mirust::export]
async fn test_future_result(s: String) -> Result<isize, String> {
    s.parse().map_err(|_| s)
}

#[mirust::export]
async fn test_future_option(n: isize) -> Option<Option<String>> {
    (n >= 0).then(|| (n > 0).then(|| "positive".into()))
}

/// A root that the future carries along.
#[mirust::export]
async fn test_future_root(root: BoxRoot<String>, ns: i64) -> BoxRoot<String> {
    sleep(Duration::from_nanos(ns as u64)).await;
    root
}

#[mirust::export]
async fn test_future_panic(message: String) -> isize {
    mirust::domain::yield_now().await;
    panic!("{message}")
}

/// A result without a future.
#[mirust::export]
fn test_result(n: isize) -> Result<String, isize> {
    if n >= 0 { Ok(n.to_string()) } else { Err(n) }
}

thread_local! {
    static DROPPED: Cell<isize> = const { Cell::new(0) };
}

/// Counts when it is dropped.
struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        DROPPED.set(DROPPED.get() + 1);
    }
}

#[mirust::export]
async fn test_future_for_ever(_: ()) {
    let _counted = Counted;
    std::future::pending().await
}

#[mirust::export(noalloc)]
fn test_dropped(_: isize) -> isize {
    DROPPED.get()
}

#[mirust::export(noalloc)]
fn test_awaited(_: isize) -> isize {
    (futures_awaited() + promises_awaited()) as isize
}

/// What Rust makes of a promise.
#[mirust::export]
async fn test_promise(promise: Promise<String>) -> String {
    match promise.to_rust::<String>().await {
        Ok(s) => format!("ok {s}"),
        Err(PromiseError::Raised(exception)) => format!("raised {exception}"),
        Err(PromiseError::Cancelled) => "cancelled".into(),
        Err(PromiseError::Unavailable(why)) => format!("unavailable: {why}"),
    }
}

/// Gives up waiting after a while, or before it has begun.
#[mirust::export]
async fn test_promise_timeout(promise: Promise<String>, ns: i64) -> Option<String> {
    if ns == 0 {
        return None;
    }
    let limit = Duration::from_nanos(ns as u64);
    let root = mirust::time::timeout(limit, promise).await.ok()?.ok()?;
    with_runtime(|ocaml| root.get(ocaml).to_rust()).ok()
}

#[mirust::export]
async fn test_promise_detach(promise: Promise<String>) {
    promise.detach();
}

/// Calls a closure, `n` times, and awaits what it promises.
#[mirust::export]
async fn test_call_async(f: BoxRoot<fn(String) -> OCamlPromise<String>>, n: isize) -> String {
    let mut s = String::new();
    for _ in 0..n {
        match f.call_async((s,)).await {
            Ok(root) => s = with_runtime(|ocaml| root.get(ocaml).to_rust()).expect("in a task"),
            Err(error) => return error.to_string(),
        }
    }
    s
}

/// The runtime is in use when a future is polled inside a function that OCaml called.
#[mirust::export]
fn test_promise_blocked(promise: Promise<String>) -> bool {
    let result = mirust::block_on(promise);
    matches!(result, Err(PromiseError::Unavailable(mirust::ocaml::Unavailable::InUse)))
}

/// One at a time: a promise of a value that a task roots.
#[mirust::export]
async fn test_future_made_in_task(s: String) -> Result<BoxRoot<String>, String> {
    with_runtime(|ocaml| s.to_boxroot(ocaml)).map_err(|error| error.to_string())
}

/// Awaits `n` promises of a closure, for the benchmark.
#[mirust::export]
async fn bench_await(f: BoxRoot<fn(isize) -> OCamlPromise<isize>>, n: isize) {
    for i in 0..n {
        let _ = f.call_async((i,)).await;
    }
}

#[mirust::export]
async fn bench_future(n: isize) -> isize {
    n
}
