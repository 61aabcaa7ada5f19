//! Conditions that somebody waits for.

use core::ffi::{c_int, c_void};

use super::fibers::{ANY, Waited, given};
use super::objects::{Condition, Mutex};
use super::waiting::must_wait;
use crate::errno::ETIMEDOUT;
use crate::pthread::{pthread_mutex_lock, pthread_mutex_unlock};

/// `pthread_cond_wait` and `_timedwait`, the deadline in ns since boot. Returns with the mutex locked.
///
/// # Safety
///
/// Both are initialised, and the mutex is the caller's.
pub(crate) unsafe fn wait(condition: *mut c_void, mutex: *mut Mutex, deadline: u64) -> c_int {
    let condition = condition.cast::<Condition>();
    // SAFETY: as the caller says; the counter counts those who are in here. Nobody signals between the unlock
    // and the wait: where another thread could run, in the unlock, `signals` shows that it did.
    unsafe {
        (*condition).waiting += 1;
        let signals = (*condition).signals;
        pthread_mutex_unlock(mutex);
        let waited = if (*condition).signals == signals {
            (given().wait)(condition.addr(), ANY, deadline)
        } else {
            Waited::Woken
        };
        must_wait("pthread_cond_wait", waited);
        (*condition).waiting -= 1;
        pthread_mutex_lock(mutex);
        if waited == Waited::TimedOut { ETIMEDOUT } else { 0 }
    }
}
