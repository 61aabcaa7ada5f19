//! Page frames, the heap that both languages share, and reservable address space.

pub mod frames;
pub mod heap;
pub mod paging;
#[cfg(test)]
mod testing;
pub mod vm;

use spin::{Mutex, MutexGuard};

/// Bytes in a page, here and for Xen's interfaces.
pub const PAGE_SIZE: usize = 4096;

/// Memory is exhausted: the caller may free some and try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory;

/// The contents of `mutex`, unless they are in use by the very thread of execution that asks.
///
/// An image has one vCPU and no interrupts, so a lock is found taken only when an exception came
/// in the middle of an operation. What runs then is a crash report: it is better served by an
/// error than by waiting for ever. A process has threads, which wait.
fn lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    if cfg!(feature = "xen") { mutex.try_lock() } else { Some(mutex.lock()) }
}
