//! Many threads: in turn, at once, and more than there is memory for.

use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, Builder};

/// Ten thousand in turn leave nothing.
pub fn run() {
    let turn = |n: u32| (0..n).map(|i| thread::spawn(move || i % 2).join().unwrap()).sum::<u32>();
    turn(100);
    let used = || {
        let memory = mirust_rt::mem::stats();
        (memory.heap.in_use, memory.frames.total - memory.frames.free)
    };
    let before = used();
    assert_eq!(turn(10_000), 5_000);
    let after = used();
    println!("heap bytes and pages in use before and after 10000 threads: {before:?} {after:?}");
    assert!(after.0 <= before.0 && after.1 <= before.1);
    // Many at once, with small stacks.
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let waiting: Vec<_> = (0..200)
        .map(|_| {
            let gate = Arc::clone(&gate);
            let small = Builder::new().stack_size(32 << 10);
            let wait = move || drop(gate.1.wait_while(gate.0.lock().unwrap(), |open| !*open));
            small.spawn(wait).unwrap()
        })
        .collect();
    thread::yield_now();
    assert_eq!(mirust::fiber::stats().threads, 200);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    waiting.into_iter().for_each(|thread| thread.join().unwrap());
    crate::settle();
}

/// One thread too many is refused, and the others go on.
pub fn exhaust() {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let mut threads = Vec::new();
    let error = loop {
        let waits = Arc::clone(&gate);
        let wait = move || drop(waits.1.wait_while(waits.0.lock().unwrap(), |open| !*open));
        match Builder::new().stack_size(1 << 20).spawn(wait) {
            Ok(thread) => threads.push(thread),
            Err(error) => break error,
        }
    };
    println!("{} threads of 1 MiB, then: {error}", threads.len());
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    assert!(threads.len() > 10);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    thread::spawn(|| ()).join().unwrap();
}
