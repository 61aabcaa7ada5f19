//! Tasks that wait for the same thing.

use alloc::vec::Vec;
use core::task::Waker;

/// Adds a waker to those that will be woken, unless it is there: a task can be polled again and again meanwhile.
pub fn add_waker(wakers: &mut Vec<Waker>, waker: &Waker) {
    if !wakers.iter().any(|known| known.will_wake(waker)) {
        wakers.push(waker.clone());
    }
}
