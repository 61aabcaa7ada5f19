//! What goes wrong, and what is said then.

use std::thread::{self, Builder};
use std::time::Duration;

/// Crashes: the report names the thread.
pub fn overflow() {
    let others = thread::spawn(thread::park);
    let deep = Builder::new().name("digger".into()).spawn(|| dig(0)).unwrap();
    println!("{:?}", deep.join());
    drop(others);
}

#[expect(unconditional_recursion, reason = "that is the case")]
pub fn dig(n: u64) -> u64 {
    let numbers = std::hint::black_box([n; 64]);
    dig(n + 1) + numbers[7]
}

/// Crashes: a panic that nothing can catch, on a thread. The backtrace ends where the thread begins.
pub fn abort() {
    extern "C" fn no_unwinding() {
        panic!("as asked");
    }
    thread::spawn(|| no_unwinding()).join().unwrap();
}

/// Blocking calls in a task of the executor fail, with a reason.
pub async fn task() {
    let slept = mirust::spawn(async { thread::sleep(Duration::from_millis(1)) }).await;
    assert!(slept.is_err(), "a task has slept");
    let thread = thread::spawn(thread::park);
    let joined = mirust::spawn(async move { thread.join().is_ok() }).await;
    assert!(joined.is_err(), "a task has joined a thread");
    let error = mirust::spawn(async { mirust::fiber::yield_now() }).await.unwrap();
    println!("{}", error.unwrap_err());
}

/// A thread that holds everybody up is named. It does not read std's clock, which would make it give way.
pub fn busy() {
    let spin = |ms| {
        let start = mirust::time::now();
        while mirust::time::now().duration_since(start) < Duration::from_millis(ms) {}
        thread::yield_now();
    };
    let busy = Builder::new().name("spinner".into()).spawn(move || [50, 300].map(spin));
    busy.unwrap().join().unwrap();
    assert_eq!(mirust::fiber::stats().long_runs, 1);
}
