//! Lives up to a crash.

use crate::CrashDisk;
use mirust::block::redb::Wait;
use std::cell::Cell;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Serves the disk while somebody waits, up to the crash. Copies live and end together.
#[derive(Clone)]
pub struct Until {
    disk: Rc<CrashDisk>,
    steps: Rc<Cell<usize>>,
}

impl Until {
    /// The crash comes after so many steps of the disk.
    pub fn new(disk: &Rc<CrashDisk>, steps: usize) -> Until {
        Until { disk: Rc::clone(disk), steps: Rc::new(Cell::new(steps)) }
    }
}

impl Wait for Until {
    fn wait<F: Future>(&self, future: F) -> io::Result<F::Output> {
        // After the crash nobody asks for anything.
        if self.steps.get() == 0 {
            return Err(io::Error::other("crash"));
        }
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(result) =
                future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            {
                return Ok(result);
            }
            match self.steps.get().checked_sub(1) {
                // The request stays under way, for the crash to decide on.
                None => return Err(io::Error::other("crash")),
                Some(left) => self.steps.set(left),
            }
            assert!(self.disk.step(), "nothing to wait for");
        }
    }
}

/// Calls `f` with the seed that the environment names by `SEED`, or with as many as `SEEDS` says.
///
/// # Panics
///
/// If it panics for one of them; that one is named.
pub fn for_seeds(most: u64, f: fn(u64)) {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    if let Some(seed) = number("SEED") {
        return f(seed);
    }
    for seed in 1..=number("SEEDS").unwrap_or(most) {
        let result = std::panic::catch_unwind(|| f(seed));
        assert!(result.is_ok(), "seed {seed} fails: SEED={seed} runs it again");
    }
}
