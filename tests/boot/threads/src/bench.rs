//! What threads cost here, thread-local storage and C symbols included.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, mpsc};
use std::thread;
use std::time::Instant;

const N: u32 = 20_000;

/// Prints the best time of one of the `per_run` operations that `run` does.
fn bench(name: &str, per_run: u32, mut run: impl FnMut()) {
    let time = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_nanos() as f64 / f64::from(per_run)
    };
    let best = (0..7).map(time).fold(f64::INFINITY, f64::min);
    println!("{name:<36}{best:>10.1} ns");
}

pub fn run() {
    bench("thread switch (sched_yield)", 2 * N, || {
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..N).for_each(|_| thread::yield_now()));
            }
        });
    });
    bench("futex wake and switch (park, unpark)", 2 * N, || {
        let turn = AtomicU32::new(0);
        let play = |me: u32, other: &thread::Thread| {
            for _ in 0..N {
                while turn.load(Ordering::Relaxed) % 2 != me {
                    thread::park();
                }
                turn.fetch_add(1, Ordering::Relaxed);
                other.unpark();
            }
        };
        thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            let second = scope.spawn(move || {
                let first = receiver.recv().unwrap();
                play(1, &first);
            });
            let second = second.thread().clone();
            scope.spawn(move || {
                sender.send(thread::current()).unwrap();
                play(0, &second);
            });
        });
    });
    bench("mutex and condition, there and back", N, || {
        let (turn, changed) = (Mutex::new(0), Condvar::new());
        let play = |me| {
            for _ in 0..N {
                let mut turn = changed.wait_while(turn.lock().unwrap(), |t| *t % 2 != me).unwrap();
                *turn += 1;
                changed.notify_one();
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| play(0));
            scope.spawn(|| play(1));
        });
    });
    bench("channel of one place, a message", N, || {
        let (sender, receiver) = mpsc::sync_channel(1);
        thread::scope(|scope| {
            scope.spawn(move || (0..N).for_each(|n| sender.send(n).unwrap()));
            assert_eq!(
                receiver.iter().map(u64::from).sum::<u64>(),
                u64::from(N) * u64::from(N - 1) / 2
            );
        });
    });
    bench("spawn and join", 1000, || {
        (0..1000).for_each(|_| thread::spawn(|| ()).join().unwrap());
    });
}
