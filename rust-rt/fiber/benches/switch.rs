//! What threads cost: `cargo bench -p mirust-fiber`.
//!
//! Prints one line per operation: its name and the median of many runs, in nanoseconds. The platform has
//! no system calls, and thread-local storage is not switched: an image pays one instruction more for that.

#[path = "../tests/common/mod.rs"]
mod common;

use std::cell::Cell;
use std::future::ready;
use std::rc::Rc;
use std::time::Instant as Stopwatch;

use mirust_fiber::{self as fiber, wait};

const N: u32 = 1000;

/// Prints the median time of one of the `per_run` operations that `run` does.
fn bench(name: &str, per_run: u32, mut run: impl FnMut()) {
    const RUNS: usize = 301;
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Stopwatch::now();
            run();
            start.elapsed().as_nanos() as f64 / f64::from(per_run)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name:<28}{:>10.1} ns", times[RUNS / 2]);
}

fn main() {
    common::init();

    bench("a call that is ready", N, || {
        common::go("ready", || (0..N).for_each(|_| fiber::block_on(ready(())).unwrap()));
        common::run_all();
    });
    bench("a call of the main stack", N, || {
        common::go("asking", || (0..N).for_each(|_| fiber::on_main(|| ()).unwrap()));
        common::run_all();
    });
    bench("thread switch (yield)", 2 * N, || {
        for _ in 0..2 {
            common::go("yielding", || (0..N).for_each(|_| fiber::yield_now().unwrap()));
        }
        common::run_all();
    });
    // Two threads in turn: each wakes the other and waits, so that a wake and a switch are one step.
    bench("futex wake and switch", 2 * N, || {
        let turn = Rc::new(Cell::new(0u32));
        for me in 0..2 {
            let turn = Rc::clone(&turn);
            common::go("in turn", move || {
                for _ in 0..N {
                    while turn.get() % 2 != me {
                        wait::wait(0x1000, wait::ANY, None).unwrap();
                    }
                    turn.set(turn.get() + 1);
                    wait::wake(0x1000, wait::ANY, 1);
                }
            });
        }
        common::run_all();
    });
    bench("futex wake, nobody there", N, || {
        (0..N).for_each(|_| assert_eq!(wait::wake(0x1000, wait::ANY, 1), 0));
    });
    bench("start and end", 100, || {
        for _ in 0..100 {
            common::go("short", || ());
            common::run_all();
        }
    });
}
