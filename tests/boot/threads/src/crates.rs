//! What popular crates make of threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rayon::prelude::*;

const MS: Duration = Duration::from_millis(1);

pub fn run() {
    crate::each(&[
        ("parking_lot", parking_lot),
        ("crossbeam's channels", channels),
        ("crossbeam's scope, parker and wait group", utils),
        ("rayon in a pool", pool),
    ]);
    // The global pool's threads stay.
    global();
    println!("ok - rayon's global pool");
}

fn parking_lot() {
    let (count, changed) = (parking_lot::Mutex::new(0), parking_lot::Condvar::new());
    let lock = parking_lot::RwLock::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let mut guard = count.lock();
                    thread::yield_now();
                    *guard += 1;
                    drop(guard);
                    changed.notify_all();
                    let before = *lock.read();
                    thread::yield_now();
                    *lock.write() += 1;
                    assert!(*lock.read() > before);
                }
            });
        }
        let mut guard = count.lock();
        changed.wait_while(&mut guard, |n| *n < 40);
    });
    assert_eq!((count.into_inner(), lock.into_inner()), (40, 40));
    let start = Instant::now();
    let (mutex, never) = (parking_lot::Mutex::new(()), parking_lot::Condvar::new());
    assert!(never.wait_for(&mut mutex.lock(), 5 * MS).timed_out());
    assert!(start.elapsed() >= 5 * MS);
}

fn channels() {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    let (answer, answers) = crossbeam_channel::unbounded();
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let (receiver, answer) = (receiver.clone(), answer.clone());
            thread::spawn(move || receiver.iter().for_each(|n: u32| answer.send(n * 2).unwrap()))
        })
        .collect();
    (0..100).for_each(|n| sender.send(n).unwrap());
    drop((sender, answer));
    let mut all: Vec<u32> = answers.iter().collect();
    all.sort_unstable();
    assert_eq!(all, (0..100).map(|n| n * 2).collect::<Vec<_>>());
    workers.into_iter().for_each(|w| w.join().unwrap());
    let ticks = crossbeam_channel::tick(2 * MS);
    crossbeam_channel::select! {
        recv(ticks) -> tick => assert!(tick.is_ok()),
        default(1000 * MS) => panic!("no tick"),
    }
}

fn utils() {
    let group = crossbeam_utils::sync::WaitGroup::new();
    let parker = crossbeam_utils::sync::Parker::new();
    let unparker = parker.unparker().clone();
    let done = Arc::new(AtomicU32::new(0));
    for _ in 0..3 {
        let (group, done) = (group.clone(), Arc::clone(&done));
        thread::spawn(move || {
            thread::sleep(MS);
            done.fetch_add(1, Ordering::Relaxed);
            drop(group);
        });
    }
    group.wait();
    assert_eq!(done.load(Ordering::Relaxed), 3);
    crossbeam_utils::thread::scope(|scope| {
        scope.spawn(|_| unparker.unpark());
        parker.park();
    })
    .unwrap();
    // What has dropped its group may still have to end.
    thread::sleep(2 * MS);
}

fn pool() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let sum: u64 = pool.install(|| (0..10_000u64).into_par_iter().map(|n| n * n).sum());
    assert_eq!(sum, 333_283_335_000);
    let (a, b) = pool.install(|| rayon::join(|| 3, || 4));
    assert_eq!(a + b, 7);
    drop(pool);
    // The pool's threads are told to end, and do so in their time.
    thread::sleep(5 * MS);
}

fn global() {
    let mut numbers: Vec<u32> = (0..5_000).map(|n| n * 7919 % 5_000).collect();
    numbers.par_sort_unstable();
    assert!(numbers.windows(2).all(|pair| pair[0] <= pair[1]));
    assert_eq!(rayon::current_num_threads(), 1);
}
