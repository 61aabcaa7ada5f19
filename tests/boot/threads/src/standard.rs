//! `std::thread` and `std::sync`.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Condvar, LazyLock, Mutex, Once, RwLock, mpsc};
use std::thread::{self, Builder};
use std::time::{Duration, Instant, SystemTime};

const MS: Duration = Duration::from_millis(1);

pub fn run() {
    crate::each(&[
        ("spawn and join", spawn_and_join),
        ("scoped threads", scoped),
        ("names and numbers", names),
        ("thread locals and their destructors", thread_locals),
        ("channels", channels),
        ("conditions with time limits", conditions),
        ("mutexes", mutexes),
        ("read-write locks", rwlocks),
        ("barriers", barriers),
        ("park, with and without a time limit", park),
        ("once", once),
        ("sleep", sleep),
        ("yield", yields),
        ("loops that read the clock", loops),
        ("panics", panics),
        ("errno", errno),
        ("detached threads", detached),
        ("one processor", one_processor),
        ("deep stacks", deep),
    ]);
}

fn spawn_and_join() {
    let handles: Vec<_> = (0..10u64).map(|i| thread::spawn(move || i * i)).collect();
    assert_eq!(handles.into_iter().map(|h| h.join().unwrap()).sum::<u64>(), 285);
    // Threads start threads, and join them.
    let nested =
        thread::spawn(|| thread::spawn(|| thread::spawn(|| 5).join().unwrap()).join().unwrap());
    assert_eq!(nested.join().unwrap(), 5);
}

fn scoped() {
    let mut numbers = [1, 2, 3, 4];
    thread::scope(|scope| {
        for number in &mut numbers {
            scope.spawn(move || {
                thread::yield_now();
                *number *= 10;
            });
        }
    });
    assert_eq!(numbers, [10, 20, 30, 40]);
}

fn names() {
    let named = Builder::new().name("worker".into()).spawn(|| {
        assert_eq!(thread::current().name(), Some("worker"));
        thread::current().id()
    });
    let other = thread::spawn(|| thread::current().id());
    let ids = [named.unwrap().join().unwrap(), other.join().unwrap(), thread::current().id()];
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
}

fn thread_locals() {
    static DROPPED: AtomicU32 = AtomicU32::new(0);
    struct Noted(u32);
    impl Drop for Noted {
        fn drop(&mut self) {
            DROPPED.fetch_add(self.0, Ordering::Relaxed);
        }
    }
    thread_local! {
        static PLAIN: Cell<u32> = const { Cell::new(7) };
        static NOTED: RefCell<Option<Noted>> = const { RefCell::new(None) };
        static MADE: Noted = Noted(PLAIN.get());
    }
    PLAIN.set(8);
    let threads: Vec<_> = (1..=3)
        .map(|i| {
            thread::spawn(move || {
                assert_eq!(PLAIN.get(), 7);
                PLAIN.set(i);
                NOTED.set(Some(Noted(100)));
                thread::sleep(MS);
                assert_eq!(PLAIN.get(), i);
                MADE.with(|made| assert_eq!(made.0, i));
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    assert_eq!((DROPPED.load(Ordering::Relaxed), PLAIN.get()), (306, 8));
}

fn channels() {
    let (sender, receiver) = mpsc::sync_channel(2);
    let senders: Vec<_> = (0..4)
        .map(|i| {
            let sender = sender.clone();
            thread::spawn(move || (0..50).for_each(|n| sender.send(i * 50 + n).unwrap()))
        })
        .collect();
    drop(sender);
    let mut all: Vec<u32> = receiver.iter().collect();
    senders.into_iter().for_each(|s| s.join().unwrap());
    all.sort_unstable();
    assert_eq!(all, (0..200).collect::<Vec<_>>());
    let (_keep, empty) = mpsc::channel::<()>();
    let start = Instant::now();
    assert_eq!(empty.recv_timeout(5 * MS), Err(mpsc::RecvTimeoutError::Timeout));
    assert!(start.elapsed() >= 5 * MS);
}

fn conditions() {
    let pair = (Mutex::new(0), Condvar::new());
    let start = Instant::now();
    let (count, limit) = pair.1.wait_timeout(pair.0.lock().unwrap(), 10 * MS).unwrap();
    assert!(limit.timed_out() && *count == 0 && start.elapsed() >= 10 * MS);
    drop(count);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(MS);
            *pair.0.lock().unwrap() = 1;
            pair.1.notify_one();
        });
        let count = pair.0.lock().unwrap();
        let (count, limit) = pair.1.wait_timeout_while(count, 1000 * MS, |n| *n == 0).unwrap();
        assert!(!limit.timed_out() && *count == 1);
    });
    assert!(start.elapsed() < 500 * MS, "a wait that was ended by its limit");
}

fn mutexes() {
    let total = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let mut guard = total.lock().unwrap();
                    let old = *guard;
                    // Others come, and have to wait.
                    thread::yield_now();
                    *guard = old + 1;
                }
            });
        }
    });
    assert_eq!(total.into_inner().unwrap(), 100);
}

fn rwlocks() {
    let lock = RwLock::new(0);
    let most = AtomicUsize::new(0);
    let reading = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let value = lock.read().unwrap();
                    let now = reading.fetch_add(1, Ordering::Relaxed) + 1;
                    most.fetch_max(now, Ordering::Relaxed);
                    let before = *value;
                    thread::yield_now();
                    assert_eq!(before, *value);
                    reading.fetch_sub(1, Ordering::Relaxed);
                    drop(value);
                    thread::yield_now();
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..10 {
                let mut value = lock.write().unwrap();
                assert_eq!(reading.load(Ordering::Relaxed), 0);
                thread::yield_now();
                *value += 1;
                drop(value);
                thread::yield_now();
            }
        });
    });
    assert_eq!(lock.into_inner().unwrap(), 10);
    assert!(most.into_inner() > 1);
}

fn barriers() {
    let barrier = Barrier::new(5);
    let (before, leaders) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                for round in 1..=3 {
                    before.fetch_add(1, Ordering::Relaxed);
                    let leader = barrier.wait().is_leader();
                    leaders.fetch_add(leader.into(), Ordering::Relaxed);
                    assert!(before.load(Ordering::Relaxed) >= 5 * round);
                }
            });
        }
    });
    assert_eq!(leaders.into_inner(), 3);
}

fn park() {
    let start = Instant::now();
    thread::park_timeout(5 * MS);
    assert!(start.elapsed() >= 5 * MS);
    let parked = thread::spawn(thread::park);
    thread::yield_now();
    parked.thread().unpark();
    parked.join().unwrap();
}

fn once() {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    static ONCE: Once = Once::new();
    static LAZY: LazyLock<u32> = LazyLock::new(|| {
        thread::sleep(MS);
        COUNT.fetch_add(1, Ordering::Relaxed)
    });
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                ONCE.call_once(|| {
                    thread::sleep(MS);
                    COUNT.fetch_add(10, Ordering::Relaxed);
                });
                assert!(COUNT.load(Ordering::Relaxed) >= 10);
                LazyLock::force(&LAZY);
            });
        }
    });
    assert_eq!(COUNT.load(Ordering::Relaxed), 11);
}

fn sleep() {
    let order = Mutex::new(Vec::new());
    let start = Instant::now();
    thread::scope(|scope| {
        for ms in [90, 10, 50] {
            let order = &order;
            scope.spawn(move || {
                thread::sleep(ms * MS);
                order.lock().unwrap().push(ms);
            });
        }
    });
    assert_eq!(order.into_inner().unwrap(), [10, 50, 90]);
    assert!(start.elapsed() >= 90 * MS && start.elapsed() < 20_000 * MS);
}

fn yields() {
    let turns = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for i in 0..2 {
            let turns = &turns;
            scope.spawn(move || {
                for _ in 0..3 {
                    turns.lock().unwrap().push(i);
                    thread::yield_now();
                }
            });
        }
    });
    let mut turns = turns.into_inner().unwrap();
    turns.sort_unstable();
    assert_eq!(turns, [0, 0, 0, 1, 1, 1]);
}

/// Two threads that wait without blocking, each for what the other does, with a time limit that must not be needed.
fn loops() {
    let turn = AtomicU32::new(0);
    let wait = |wanted, clock: &dyn Fn() -> Duration| {
        let start = clock();
        while turn.load(Ordering::Acquire) != wanted {
            assert!(clock() - start < Duration::from_secs(20), "{wanted} did not have its turn");
            std::hint::spin_loop();
        }
        turn.store(wanted + 1, Ordering::Release);
    };
    let (start, day) = (Instant::now(), SystemTime::UNIX_EPOCH);
    thread::scope(|scope| {
        scope.spawn(|| [1, 3].map(|n| wait(n, &|| start.elapsed())));
        scope.spawn(|| [0, 2].map(|n| wait(n, &|| day.elapsed().unwrap())));
        // And one that sleeps, and is to be woken.
        scope.spawn(|| {
            thread::sleep(10 * MS);
            wait(4, &|| start.elapsed());
        });
    });
    assert_eq!(turn.into_inner(), 5);
}

fn panics() {
    struct Noted(Arc<AtomicU32>);
    impl Drop for Noted {
        fn drop(&mut self) {
            assert!(thread::panicking());
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let drops = Arc::new(AtomicU32::new(0));
    for i in 0..3 {
        let noted = Noted(Arc::clone(&drops));
        let result = thread::spawn(move || {
            let _noted = noted;
            thread::yield_now();
            assert!(i > 5, "as asked");
        })
        .join();
        assert_eq!(result.unwrap_err().downcast_ref(), Some(&"as asked"));
    }
    assert_eq!(drops.load(Ordering::Relaxed), 3);
    // Two that unwind at the same time, switching in the middle.
    struct Slow;
    impl Drop for Slow {
        fn drop(&mut self) {
            thread::sleep(MS);
        }
    }
    let both = [1, 2].map(|i| {
        thread::spawn(move || {
            let _slow = Slow;
            std::panic::panic_any(i);
        })
    });
    for (i, thread) in both.into_iter().enumerate() {
        assert_eq!(thread.join().unwrap_err().downcast_ref(), Some(&(i as i32 + 1)));
    }
    assert!(!thread::panicking());
    let poisoned = Mutex::new(());
    let caught = thread::scope(|scope| {
        scope
            .spawn(|| {
                let _guard = poisoned.lock();
                panic!("with a lock");
            })
            .join()
    });
    assert!(caught.is_err() && poisoned.is_poisoned());
}

fn errno() {
    // Nothing is there, which leaves ENOENT in `errno`.
    let fail = || std::fs::metadata("/nothing").unwrap_err().raw_os_error();
    // SAFETY: the type is that of `errno.h`.
    unsafe extern "C" {
        fn __errno_location() -> *mut i32;
    }
    // SAFETY: `errno` is always there.
    let set = |value: i32| unsafe { *__errno_location() = value };
    let get = || std::io::Error::last_os_error().raw_os_error();
    set(77);
    thread::spawn(move || {
        assert_eq!(get(), Some(0));
        assert_eq!(fail(), Some(2));
        set(55);
        thread::yield_now();
        assert_eq!(get(), Some(55));
    })
    .join()
    .unwrap();
    assert_eq!(get(), Some(77));
}

fn detached() {
    let (sender, receiver) = mpsc::channel();
    drop(thread::spawn(move || {
        thread::sleep(MS);
        sender.send(3).unwrap();
    }));
    assert_eq!(receiver.recv(), Ok(3));
    thread::sleep(MS);
}

fn one_processor() {
    assert_eq!(thread::available_parallelism().unwrap().get(), 1);
}

fn deep() {
    fn sum(n: u64) -> u64 {
        let numbers = std::hint::black_box([n; 8]);
        if n == 0 { 0 } else { numbers[3] + sum(n - 1) }
    }
    let deep = Builder::new().stack_size(4 << 20).spawn(|| sum(20_000)).unwrap();
    let shallow = Builder::new().stack_size(16 << 10).spawn(|| sum(20)).unwrap();
    assert_eq!((deep.join().unwrap(), shallow.join().unwrap()), (200_010_000, 210));
}
