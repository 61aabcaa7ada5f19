//! What the executor and the poll cost: `cargo bench -p mirust-rt --bench executor`.
//!
//! Prints one line per operation: its name and the median of many runs, in nanoseconds. The platform
//! is one without system calls, except where a name begins with `unix`.

use std::hint::black_box;
use std::time::{Duration, Instant as Stopwatch};

#[cfg(not(feature = "xen"))]
use mirust_rt::domain;
use mirust_rt::executor::yield_now;
use mirust_rt::platform::Platform;
use mirust_rt::poll::Domain;
use mirust_rt::time::Instant;

/// No events, and a clock that stands still: what is left is our own cost.
struct Nothing;

impl Platform for Nothing {
    fn now(&self) -> Instant {
        Instant::ZERO
    }

    fn wall(&self) -> Duration {
        Duration::ZERO
    }

    fn dispatch(&self) -> usize {
        0
    }

    fn wait(&self, _deadline: Instant) {
        unreachable!("a benchmark that waits measures nothing");
    }
}

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
    const N: u32 = 1000;
    let d = Domain::new(Nothing);

    bench("spawn_join", N, || {
        d.block_on(async {
            for i in 0..N {
                assert_eq!(black_box(d.spawn(async move { i })).await.unwrap(), i);
            }
        });
    });

    bench("spawn_join_batch_of_50", N, || {
        d.block_on(async {
            for _ in 0..N / 50 {
                let handles: [_; 50] = core::array::from_fn(|i| d.spawn(async move { i }));
                for handle in handles {
                    black_box(handle.await.unwrap());
                }
            }
        });
    });

    bench("wake_and_turn_64_tasks", 64 * 16, || {
        for _ in 0..64 {
            d.spawn(async {
                for _ in 0..15 {
                    yield_now().await;
                }
            });
        }
        while d.tasks() > 0 {
            d.poll(Instant::ZERO);
        }
    });

    bench("poll_with_nothing_to_do", N, || {
        for _ in 0..N {
            black_box(d.poll(Instant::ZERO));
        }
    });

    bench("completion", N, || {
        for i in 0..N {
            d.complete(u64::from(i));
            black_box(d.next_completion());
        }
    });

    // A thousand timers beside it, so that the map has some depth.
    let others: Vec<_> =
        (1..=1000).map(|i| d.spawn(d.sleep_until(Instant::from_nanos(i * 1000)))).collect();
    for _ in 0..others.len() {
        d.poll(Instant::ZERO);
    }
    bench("timer_set_and_cancel", N, || {
        d.block_on(async {
            for i in 0..N {
                let deadline = Instant::from_nanos(u64::from(i) * 997 + 1);
                let timer = d.sleep_until(deadline);
                let mut timer = core::pin::pin!(timer);
                core::future::poll_fn(|cx| {
                    assert!(timer.as_mut().poll(cx).is_pending());
                    core::task::Poll::Ready(())
                })
                .await;
            }
        });
    });
    drop(others);

    #[cfg(not(feature = "xen"))]
    bench("unix_poll_with_nothing_to_do", N, || {
        for _ in 0..N {
            black_box(domain::poll(Instant::ZERO));
        }
    });
}
