//! What several test modules share.

use crate::shared::SharedPage;
use alloc::{boxed::Box, sync::Arc, task::Wake};
use core::{
    future::Future,
    pin::pin,
    ptr::NonNull,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    task::{Context, Poll, Waker},
};
use mirust_mem::PAGE_SIZE;

/// A small generator with a seed (xorshift64*), so that a failing case can be run again.
pub struct Random(u64);

impl Random {
    /// The sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        ((self.bits() >> 32) as usize) % limit
    }
}

/// Counts wake-ups.
#[derive(Default)]
pub struct Wakes(AtomicUsize);

impl Wakes {
    /// A counter and the waker that advances it.
    pub fn new() -> (Arc<Wakes>, Waker) {
        let wakes = Arc::new(Wakes::default());
        (wakes.clone(), wakes.into())
    }

    /// Wake-ups so far.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls `future` once.
pub fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls `future` to its end and calls `step` whenever it is not ready: the rest of the world. Fails
/// the test when the future makes no progress in many steps.
pub fn run<F: Future>(future: F, mut step: impl FnMut()) -> F::Output {
    let mut future = pin!(future);
    for _ in 0..100_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
        step();
    }
    panic!("the future never became ready");
}

/// A zeroed page, seen by the guest and by its peer.
pub fn shared_page() -> (SharedPage, SharedPage) {
    let words: &'static [AtomicU64; 512] = Box::leak(Box::new([const { AtomicU64::new(0) }; 512]));
    let base = NonNull::from(words).cast();
    // SAFETY: the leaked allocation is 4096 bytes, aligned to 8, and made of atomics, so that both
    // views may write it.
    unsafe { (SharedPage::new(base, PAGE_SIZE), SharedPage::new(base, PAGE_SIZE)) }
}
