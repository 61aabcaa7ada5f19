//! Locks that a crash report does not wait for.

use spin::{Mutex, MutexGuard};

/// The contents of `mutex`, unless they are in use by the very thread of execution that asks.
///
/// An image has one vCPU and no interrupts, so a lock is found taken only when an exception came
/// in the middle of an operation. What runs then is a crash report: it is better served by an
/// error than by waiting for ever. A process has threads, which wait.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    if cfg!(feature = "single-thread") { mutex.try_lock() } else { Some(mutex.lock()) }
}
