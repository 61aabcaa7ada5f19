//! Another order of the ready threads at each run, for tests.
//!
//! Ready threads run first come, first served. A program that is correct only in that order is not correct. With a
//! seed, a thread at random lets others go first when its turn comes, and gives up its turn at some of the places where
//! others become ready or where it reads the clock. The same seed makes the same choices.

use core::sync::atomic::{AtomicU64, Ordering};

/// The generator's state; 0 while nothing is random.
static STATE: AtomicU64 = AtomicU64::new(0);

/// Makes the order of threads depend on `seed`; 0 is the ordinary order.
pub fn set_seed(seed: u64) {
    STATE.store(seed, Ordering::Relaxed);
}

/// Whether there is a seed.
#[inline]
pub(crate) fn is_random() -> bool {
    STATE.load(Ordering::Relaxed) != 0
}

/// True once in `n` times on average; never in the ordinary order.
fn chance(n: u64) -> bool {
    let mut x = STATE.load(Ordering::Relaxed);
    if x == 0 {
        return false;
    }
    // Marsaglia's xorshift: never 0 unless it was.
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    STATE.store(x, Ordering::Relaxed);
    (x >> 32) % n == 0
}

/// Whether the thread whose turn it is shall go to the end of the queue instead.
pub(crate) fn postpone() -> bool {
    chance(2)
}

/// Whether the thread that runs, and has made another one ready or read the clock, shall let others go first.
pub(crate) fn gives_way() -> bool {
    chance(4)
}
