//! The Rust half: threads that call OCaml, and a main function that blocks while OCaml's loop goes on.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use mirust::fiber::CannotBlock;
use mirust::ocaml::{self, BoxRoot, Closure, Unavailable, from_thread, with_runtime};

const MS: Duration = Duration::from_millis(1);

/// What OCaml has handed over.
struct Handed {
    double: BoxRoot<fn(isize) -> isize>,
    ticks: BoxRoot<fn(()) -> isize>,
    block: BoxRoot<fn(isize) -> isize>,
}

thread_local! {
    /// Never dropped: roots must not outlive OCaml. Used on the main stack only, where all code that calls OCaml runs.
    static HANDED: RefCell<Option<ManuallyDrop<Handed>>> = const { RefCell::new(None) };
}

/// Takes the closures that are called from here.
#[mirust::export]
fn hand_over(
    double: BoxRoot<fn(isize) -> isize>,
    ticks: BoxRoot<fn(()) -> isize>,
    block: BoxRoot<fn(isize) -> isize>,
) {
    HANDED.set(Some(ManuallyDrop::new(Handed { double, ticks, block })));
}

/// Blocks for this many milliseconds, called by OCaml. Threads go on meanwhile, and OCaml does not. Gives the
/// milliseconds that have passed.
#[mirust::export]
fn block(ms: isize) -> isize {
    let start = Instant::now();
    thread::sleep(ms as u32 * MS);
    start.elapsed().as_millis() as isize
}

/// Twice the number, computed by OCaml; nothing where that raises `Not_found`.
fn double(n: isize) -> Option<isize> {
    let doubled = from_thread(|ocaml| {
        HANDED.with_borrow(|handed| {
            let closure = &handed.as_ref().expect("OCaml has started").double;
            closure.call(ocaml, (n,)).map(|value| value.to_i64() as isize)
        })
    });
    match doubled.expect("nobody else has the runtime") {
        Ok(doubled) => Some(doubled),
        Err(exception) => {
            assert_eq!(exception.to_string(), "Not_found");
            None
        }
    }
}

/// How often OCaml's loop has turned.
fn ticks() -> isize {
    let ticks = from_thread(|ocaml| {
        HANDED.with_borrow(|handed| {
            let closure = &handed.as_ref().expect("OCaml has started").ticks;
            closure.call(ocaml, ((),)).map(|value| value.to_i64() as isize)
        })
    });
    ticks.expect("nobody else has the runtime").expect("it does not raise")
}

fn threads_call_ocaml() {
    thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for n in 0..50 {
                    assert_eq!(double(n * 4 + thread), Some(2 * (n * 4 + thread)));
                    if n % 7 == 0 {
                        thread::sleep(MS);
                    }
                    if n % 9 == 0 {
                        assert_eq!(double(-1), None);
                    }
                }
            });
        }
    });
}

fn what_a_thread_must_not_do() {
    thread::spawn(|| {
        // The runtime is on the main stack.
        assert_eq!(with_runtime(|_| ()), Err(Unavailable::NotStarted));
        // Nothing there may wait for anything.
        let inside = from_thread(|_| mirust::fiber::yield_now());
        assert!(matches!(inside, Ok(Err(CannotBlock::InTask))));
        // A panic comes back to the thread, and OCaml is well afterwards.
        for _ in 0..2 {
            let panic = catch_unwind(|| from_thread(|_| -> () { panic!("as asked") }));
            assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"as asked"));
            assert_eq!((double(21), thread::panicking()), (Some(42), false));
        }
    })
    .join()
    .unwrap();
}

fn ocaml_goes_on_while_main_blocks() {
    let before = ticks();
    thread::sleep(100 * MS);
    let after = ticks();
    assert!(after - before >= 3, "{} ticks in 100 ms", after - before);
    // And while it waits for a thread.
    thread::spawn(|| thread::sleep(100 * MS)).join().unwrap();
    assert!(ticks() - after >= 3);
    let blocks = mirust::stats().blocks;
    assert!(blocks >= 3, "{blocks} blocks: the domain does not sleep");
}

/// OCaml calls Rust, which blocks: OCaml stands still, and threads do not.
fn rust_blocks_below_ocaml() {
    let turns = Mutex::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            // This runs when the main stack blocks, and not before. OCaml is there, in the middle of a call.
            assert_eq!(from_thread(|_| ()), Err(Unavailable::InUse));
            for _ in 0..5 {
                *turns.lock().unwrap() += 1;
                thread::sleep(MS);
            }
        });
        let before = ticks();
        let slept = with_runtime(|ocaml| {
            HANDED.with_borrow(|handed| {
                let closure = &handed.as_ref().expect("OCaml has started").block;
                closure.call(ocaml, (30,)).map(|value| value.to_i64()).expect("it does not raise")
            })
        });
        assert!(slept.unwrap() >= 30);
        assert!(ticks() - before <= 1, "OCaml's loop turned inside a call");
    });
    assert_eq!(turns.into_inner().unwrap(), 5);
}

async fn run() -> i32 {
    ocaml::start().expect("the first time");
    let cases: [(&str, fn()); 4] = [
        ("threads call OCaml", threads_call_ocaml),
        ("what a thread must not do", what_a_thread_must_not_do),
        ("OCaml goes on while main blocks", ocaml_goes_on_while_main_blocks),
        ("Rust blocks below OCaml", rust_blocks_below_ocaml),
    ];
    for (name, case) in cases {
        match catch_unwind(AssertUnwindSafe(case)) {
            Ok(()) => println!("ok - {name}"),
            Err(_) => return 1,
        }
    }
    println!("threads beside OCaml work");
    0
}

mirust::main!(run);
