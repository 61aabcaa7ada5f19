//! Threads in a Linux process: real switches, stacks with real guards, and a clock that the test owns.
//!
//! The domain belongs to one thread, so the cases run one after the other on the main thread.

mod common;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use common::{CLOCK, errno, go, run_all};
use mirust_executor::domain;
use mirust_executor::time::Instant;
use mirust_fiber::{self as fiber, CannotBlock, Clock, Thread, wait};

const MS: Duration = Duration::from_millis(1);

fn main() {
    common::init();
    let cases: &[(&str, fn())] = &[
        ("the_main_stack_blocks_by_polling", the_main_stack_blocks_by_polling),
        ("a_task_cannot_block", a_task_cannot_block),
        ("threads_take_turns_when_they_block", threads_take_turns_when_they_block),
        ("a_deadline_ends_a_wait", a_deadline_ends_a_wait),
        ("a_deadline_that_has_passed_gives_a_turn", a_deadline_that_has_passed_gives_a_turn),
        ("futures_are_polled_and_dropped_on_the_main_stack", futures_are_on_the_main_stack),
        ("what_a_thread_asks_of_the_main_stack_cannot_block", on_main_cannot_block),
        ("a_panic_of_a_future_is_an_error", a_panic_of_a_future_is_an_error),
        ("panics_stay_on_their_thread", panics_stay_on_their_thread),
        ("waiters_are_woken_in_order", waiters_are_woken_in_order),
        ("masks_choose_waiters", masks_choose_waiters),
        ("a_wait_that_timed_out_is_not_woken", a_wait_that_timed_out_is_not_woken),
        ("errno_is_the_threads", errno_is_the_threads),
        ("registers_and_rounding_survive_switches", registers_and_rounding_survive_switches),
        ("a_thread_that_never_waits_lets_others_run", a_thread_that_never_waits_lets_others_run),
        (
            "a_thread_that_reads_the_clock_lets_others_run",
            a_thread_that_reads_the_clock_lets_others_run,
        ),
        ("clocks_are_read_outside_of_threads_too", clocks_are_read_outside_of_threads_too),
        ("no_memory_is_an_error", no_memory_is_an_error),
        ("ten_thousand_threads_leave_nothing", ten_thousand_threads_leave_nothing),
        ("overflow_is_told_by_name", overflow_is_told_by_name),
        ("a_thread_can_end_in_the_middle", a_thread_can_end_in_the_middle),
        ("a_seed_makes_one_order_and_another_another", a_seed_makes_one_order),
        ("no_wake_up_is_lost_in_a_hundred_orders", no_wake_up_is_lost),
        ("long_runs_are_counted", long_runs_are_counted),
    ];
    for (name, case) in cases {
        case();
        assert_eq!(fiber::stats().threads, 0, "{name} left threads");
        println!("test {name} ... ok");
    }
}

fn the_main_stack_blocks_by_polling() {
    let start = domain::now();
    fiber::block_on(domain::sleep(5 * MS)).unwrap();
    assert_eq!(domain::now(), start.saturating_add(5 * MS));
    // A blocking call inside another one's future, as a main future makes it.
    let nested = fiber::block_on(async { fiber::block_on(domain::sleep(MS)).is_ok() });
    assert!(nested.unwrap());
}

fn a_task_cannot_block() {
    let task =
        domain::spawn(async { matches!(fiber::block_on(ready(1)), Err(CannotBlock::InTask)) });
    assert!(domain::block_on(task).unwrap());
    let text = CannotBlock::InTask.to_string();
    assert!(text.contains("on a thread"), "{text}");
}

fn threads_take_turns_when_they_block() {
    let trace: Rc<RefCell<Vec<(char, u32)>>> = Rc::default();
    for name in ['a', 'b'] {
        let trace = Rc::clone(&trace);
        go(&name.to_string(), move || {
            for i in 0..3 {
                trace.borrow_mut().push((name, i));
                fiber::yield_now().unwrap();
            }
        });
    }
    assert!(trace.borrow().is_empty(), "a thread ran inside start");
    run_all();
    let expected = [('a', 0), ('b', 0), ('a', 1), ('b', 1), ('a', 2), ('b', 2)];
    assert_eq!(*trace.borrow(), expected);
}

fn a_deadline_ends_a_wait() {
    let start = domain::now();
    go("sleeper", move || {
        let deadline = start.saturating_add(7 * MS);
        let none = fiber::block_on_until(pending::<()>(), Some(deadline)).unwrap();
        assert_eq!((none, domain::now()), (None, deadline));
        let value = fiber::block_on_until(ready(5), Some(Instant::NEVER)).unwrap();
        assert_eq!(value, Some(5));
        assert_eq!(fiber::block_on_until(ready(6), None).unwrap(), Some(6));
    });
    run_all();
}

fn a_deadline_that_has_passed_gives_a_turn() {
    let turns = domain::stats().polls;
    let got = fiber::block_on_until(pending::<()>(), Some(Instant::ZERO)).unwrap();
    assert!(got.is_none() && domain::stats().polls > turns);
}

fn on_main() -> bool {
    fiber::current(|_| ()).is_none()
}

fn futures_are_on_the_main_stack() {
    /// Notes on which stack it is polled and dropped.
    struct Where(Rc<Cell<u32>>, bool);
    impl Future for Where {
        type Output = ();
        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            assert!(on_main());
            if std::mem::replace(&mut self.1, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }
    impl Drop for Where {
        fn drop(&mut self) {
            assert!(on_main());
            self.0.set(self.0.get() + 1);
        }
    }
    let drops = Rc::new(Cell::new(0));
    let seen = Rc::clone(&drops);
    go("asker", move || {
        fiber::block_on(Where(Rc::clone(&seen), false)).unwrap();
        assert!(!on_main());
        assert!(fiber::on_main(on_main).unwrap());
    });
    run_all();
    assert_eq!(drops.get(), 1);
}

fn on_main_cannot_block() {
    go("asker", || {
        let inner = fiber::on_main(|| fiber::block_on(ready(1)));
        assert!(matches!(inner, Ok(Err(CannotBlock::InTask))));
    });
    run_all();
    assert_eq!(fiber::on_main(|| 3).unwrap(), 3);
}

fn a_panic_of_a_future_is_an_error() {
    go("asker", || {
        let result = fiber::block_on(async { panic!("as asked") });
        let Err(CannotBlock::Panicked(payload)) = result else { unreachable!("{result:?}") };
        assert_eq!(payload.downcast_ref(), Some(&"as asked"));
        // The second failure is like the first, and all is well afterwards.
        assert!(fiber::on_main(|| panic!("again")).is_err());
        assert_eq!(fiber::block_on(ready(4)).unwrap(), 4);
    });
    run_all();
}

fn panics_stay_on_their_thread() {
    let caught = Rc::new(Cell::new(0));
    for i in 0..3 {
        let caught = Rc::clone(&caught);
        go("panicking", move || {
            struct Count(Rc<Cell<u32>>);
            impl Drop for Count {
                fn drop(&mut self) {
                    self.0.set(self.0.get() + 1);
                }
            }
            let result = catch_unwind(AssertUnwindSafe(|| {
                let _dropped = Count(caught);
                fiber::yield_now().unwrap();
                // Out of some depth, and with others in the middle of theirs.
                (0..10).for_each(|n| assert!(n < 5 + i, "enough"));
            }));
            assert!(result.is_err());
        });
    }
    run_all();
    assert_eq!(caught.get(), 3);
}

fn waiters_are_woken_in_order() {
    let trace: Rc<RefCell<Vec<usize>>> = Rc::default();
    for i in 0..5 {
        let trace = Rc::clone(&trace);
        go("waiter", move || {
            // Two addresses of one bucket.
            assert!(wait::wait(0x1000 + (i % 2) * (1 << 20), wait::ANY, None).unwrap());
            trace.borrow_mut().push(i);
        });
    }
    let seen = Rc::clone(&trace);
    go("waker", move || {
        assert_eq!(wait::wake(0x1000, wait::ANY, 2), 2);
        fiber::yield_now().unwrap();
        assert_eq!(*seen.borrow(), [0, 2]);
        assert_eq!(wait::wake(0x1000 + (1 << 20), wait::ANY, usize::MAX), 2);
        assert_eq!(wait::wake(0x1000, wait::ANY, usize::MAX), 1);
        assert_eq!(wait::wake(0x1000, wait::ANY, usize::MAX), 0);
    });
    run_all();
    assert_eq!(*trace.borrow(), [0, 2, 1, 3, 4]);
}

fn masks_choose_waiters() {
    go("waiter", || assert!(wait::wait(0x2000, 2, None).unwrap()));
    go("waker", || {
        assert_eq!(wait::wake(0x2000, 1, 1), 0);
        assert_eq!(wait::wake(0x2000, 3, 1), 1);
    });
    run_all();
}

fn a_wait_that_timed_out_is_not_woken() {
    go("waiter", || {
        let deadline = domain::now().saturating_add(MS);
        assert!(!wait::wait(0x3000, wait::ANY, Some(deadline)).unwrap());
        assert_eq!(wait::wake(0x3000, wait::ANY, 9), 0);
    });
    run_all();
    // And on the main stack.
    assert!(!wait::wait(0x3000, wait::ANY, Some(domain::now())).unwrap());
}

fn errno_is_the_threads() {
    errno(7);
    for mine in [1, 2] {
        go("failing", move || {
            assert_eq!(errno(mine), 0);
            fiber::yield_now().unwrap();
            fiber::on_main(|| assert_eq!(errno(7), 7)).unwrap();
            assert_eq!(errno(0), mine);
        });
    }
    run_all();
    assert_eq!(errno(0), 7);
}

fn registers_and_rounding_survive_switches() {
    /// The SSE unit's control word, before it is set to `new`.
    fn control(new: u32) -> u32 {
        let mut old = 0u32;
        // SAFETY: both words are readable and writable; the bits set are rounding modes.
        unsafe {
            std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut old, options(nostack));
            std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const new, options(nostack));
        }
        old
    }
    let ordinary = control(0x1f80);
    go("rounding up", || {
        control(0x5f80);
        let values: [u64; 12] = std::array::from_fn(|i| std::hint::black_box(i as u64 * 77));
        fiber::yield_now().unwrap();
        assert_eq!(values.iter().sum::<u64>(), 66 * 77);
        assert_eq!(control(0x1f80) & 0xffc0, 0x5f80);
    });
    go("ordinary", || assert_eq!(control(0x1f80) & 0xffc0, 0x1f80));
    run_all();
    assert_eq!(control(ordinary) & 0xffc0, 0x1f80);
}

fn a_thread_that_never_waits_lets_others_run() {
    let stop = Rc::new(Cell::new(false));
    let (told, rounds) = (Rc::clone(&stop), Rc::new(Cell::new(0)));
    let seen = Rc::clone(&rounds);
    go("busy", move || {
        while !told.get() {
            fiber::block_on(ready(())).unwrap();
            rounds.set(rounds.get() + 1);
            assert!(rounds.get() < 10_000, "the other thread starves");
        }
    });
    go("other", move || stop.set(true));
    run_all();
    assert!(seen.get() > 0);
}

/// What a program's reading of the clock is, when `ns` have passed since the last one.
fn read(clock: Clock, ns: u64) {
    CLOCK.set(CLOCK.get() + ns);
    // The day began long before the domain.
    let since = if clock == Clock::Wall { 1 << 60 } else { 0 };
    fiber::clock_was_read(clock, since + CLOCK.get());
}

fn a_thread_that_reads_the_clock_lets_others_run() {
    for clock in [Clock::Monotonic, Clock::Wall] {
        // Of three threads that never wait, each gives way 4 ms after the first reading of its turn: not at the fourth
        // reading, but at the fifth.
        let trace = Rc::new(RefCell::new(Vec::new()));
        for name in ["a", "b", "c"] {
            let trace = Rc::clone(&trace);
            go(name, move || {
                for i in 1..=7 {
                    trace.borrow_mut().push(format!("{name}{i}"));
                    read(clock, 1_000_000);
                }
            });
        }
        run_all();
        let first = [
            "a1", "a2", "a3", "a4", "a5", "b1", "b2", "b3", "b4", "b5", "c1", "c2", "c3", "c4",
            "c5",
        ];
        assert_eq!(trace.borrow()[..15], first);
        assert_eq!(trace.borrow()[15..], ["a6", "a7", "b6", "b7", "c6", "c7"]);
    }
    // A jump of the time of day ends a turn at most once, and a step back does not.
    let other = Rc::new(Cell::new(0));
    let seen = Rc::clone(&other);
    go("jumps", move || {
        let base = 1 << 60;
        for ns in [base, base - 5_000_000_000, base + 3_999_999] {
            fiber::clock_was_read(Clock::Wall, ns);
            assert_eq!(seen.get(), 0);
        }
        fiber::clock_was_read(Clock::Wall, base + 4_000_000);
        assert_eq!(seen.get(), 1);
    });
    go("other", move || other.set(other.get() + 1));
    run_all();
}

fn clocks_are_read_outside_of_threads_too() {
    // The main stack, a task, and what a thread has done on the main stack: nobody gives way, or could.
    let switches = fiber::stats().switches;
    read(Clock::Monotonic, 1);
    read(Clock::Monotonic, 1_000_000_000);
    fiber::block_on(async { read(Clock::Wall, 1_000_000_000) }).unwrap();
    assert_eq!(fiber::stats().switches, switches);
    go("asks", || {
        read(Clock::Monotonic, 0);
        fiber::on_main(|| read(Clock::Monotonic, 1_000_000_000)).unwrap();
    });
    run_all();
    assert_eq!(fiber::stats().switches, switches + 2);
}

fn no_memory_is_an_error() {
    common::LEFT.set(0);
    let start = fiber::Start { stack: 12 << 20, name: "too many", own: [0; 2] };
    assert_eq!(fiber::start(start, || unreachable!()), Err(fiber::NoMemory));
    common::LEFT.set(usize::MAX);
}

fn ten_thousand_threads_leave_nothing() {
    go("first", || ());
    run_all();
    let (mapped, before) = (common::MAPPED.get(), fiber::stats());
    let count = Rc::new(Cell::new(0u32));
    for _ in 0..10_000 {
        let count = Rc::clone(&count);
        go("one of many", move || count.set(count.get() + 1));
        run_all();
    }
    let after = fiber::stats();
    assert_eq!((count.get(), common::MAPPED.get()), (10_000, mapped));
    assert_eq!(after.started - before.started, 10_000);
    assert_eq!((after.stack_bytes, Rc::strong_count(&count)), (before.stack_bytes, 1));
    // Many at once: only a few stacks are kept.
    for _ in 0..100 {
        go("one of a crowd", || fiber::yield_now().unwrap());
    }
    run_all();
    assert!(fiber::stats().stack_bytes <= 9 * common::STACK);
}

fn overflow_is_told_by_name() {
    go("deep", || {
        let (low, high) = fiber::current(Thread::stack).unwrap();
        let here = (&raw const low).addr();
        assert!((low..high).contains(&here));
        // SAFETY: no name is set while we look at one.
        let name = |address| unsafe { fiber::stack_owner(address) };
        assert_eq!(name(low - 8), Some("deep"));
        assert_eq!((name(low), name(8)), (None, None));
        fiber::current(|deep| deep.set_name("deep, and renamed to a name of many bytes"));
        assert_eq!(name(low - 8), Some("deep, and renamed to a name of m"));
    });
    run_all();
}

fn a_thread_can_end_in_the_middle() {
    let ended = Rc::new(Cell::new(true));
    let seen = Rc::clone(&ended);
    go("leaving", move || {
        seen.set(false);
        // SAFETY: nothing is pinned on this stack.
        fiber::current(|leaving| unsafe { leaving.exit() });
    });
    run_all();
    assert!(!ended.get());
}

/// The order in which eight threads of three turns each run.
fn order(seed: u64) -> Vec<u32> {
    fiber::set_seed(seed);
    let trace: Rc<RefCell<Vec<u32>>> = Rc::default();
    for i in 0..8 {
        let trace = Rc::clone(&trace);
        go("any", move || {
            for _ in 0..3 {
                trace.borrow_mut().push(i);
                fiber::yield_now().unwrap();
            }
        });
    }
    run_all();
    fiber::set_seed(0);
    trace.take()
}

fn a_seed_makes_one_order() {
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
    let ordinary: Vec<u32> = (0..3).flat_map(|_| 0..8).collect();
    assert_eq!(order(0), ordinary);
}

/// A channel of one place, made of a word and waits at its address, between six threads, in a hundred orders.
fn no_wake_up_is_lost() {
    const EACH: u64 = 50;
    for seed in 1..=100u64 {
        fiber::set_seed(seed);
        let place: Rc<Cell<Option<u64>>> = Rc::default();
        let sum = Rc::new(Cell::new(0));
        let (full, empty) = (0x5000usize, 0x5010usize);
        for sender in 0..3 {
            let place = Rc::clone(&place);
            go("sender", move || {
                for i in 0..EACH {
                    while place.get().is_some() {
                        wait::wait(empty, wait::ANY, None).unwrap();
                    }
                    place.set(Some(sender * EACH + i));
                    wait::wake(full, wait::ANY, 1);
                }
            });
        }
        for _ in 0..3 {
            let (place, sum) = (Rc::clone(&place), Rc::clone(&sum));
            go("receiver", move || {
                for _ in 0..EACH {
                    let value = loop {
                        match place.take() {
                            Some(value) => break value,
                            None => wait::wait(full, wait::ANY, None).unwrap(),
                        };
                    };
                    sum.set(sum.get() + value);
                    wait::wake(empty, wait::ANY, 1);
                }
            });
        }
        run_all();
        fiber::set_seed(0);
        assert_eq!(sum.get(), (0..3 * EACH).sum::<u64>(), "seed {seed}");
    }
}

fn long_runs_are_counted() {
    fiber::set_limit(20 * MS);
    let before = fiber::stats().long_runs;
    go("busy", || {
        // The first long turn teaches how long a tick is.
        for ms in [30, 60, 60] {
            let start = std::time::Instant::now();
            while start.elapsed() < ms * MS {}
            CLOCK.set(CLOCK.get() + u64::from(ms) * 1_000_000);
            fiber::block_on(poll_fn(|_| Poll::Ready(()))).unwrap();
        }
    });
    run_all();
    let counted = fiber::stats().long_runs - before;
    assert!((1..=3).contains(&counted), "{counted}");
}
