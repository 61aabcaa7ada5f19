//! The part of `<pthread.h>` that a program with a single thread uses too.
//!
//! Locks keep their state, so that locking a mutex twice is detected; a call that would wait for another thread where
//! there is none ends the program with a reason, since it would wait forever. What threads add is in
//! [`threads`](super::threads). The layouts start with what glibc's static initialisers set.

use super::errno::{EAGAIN, EBUSY, EDEADLK, EINVAL, EPERM, ESRCH};
use super::stub::unsupported;
use super::threads::block::{Block, number};
use super::threads::objects::{Attributes, Condition, Mutex};
use super::threads::table::{self, Function};
use super::{die, process};
use core::ffi::{c_int, c_void};
use core::ptr;
use core::sync::atomic::AtomicBool;

pub(super) const RECURSIVE: c_int = 1;
const ERRORCHECK: c_int = 2;

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_mutexattr_init(attributes: *mut c_int) -> c_int {
    // SAFETY: a `pthread_mutexattr_t` is an int, writable by contract.
    unsafe { *attributes = 0 };
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_mutexattr_destroy(_attributes: *mut c_int) -> c_int {
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_mutexattr_settype(attributes: *mut c_int, kind: c_int) -> c_int {
    if !(0..=3).contains(&kind) {
        return EINVAL;
    }
    // SAFETY: as in `pthread_mutexattr_init`.
    unsafe { *attributes = kind };
    0
}

/// Whether it is shared with other processes, of which there are none.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_mutexattr_setpshared(_attributes: *mut c_int, shared: c_int) -> c_int {
    if (0..=1).contains(&shared) { 0 } else { EINVAL }
}

/// Whether it is free again when its owner has died. A process that has died leaves nobody to lock it; a thread that
/// ends with it keeps it locked all the same.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_mutexattr_setrobust(_attributes: *mut c_int, robust: c_int) -> c_int {
    if (0..=1).contains(&robust) { 0 } else { EINVAL }
}

/// EINVAL, as nobody has died with it.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_mutex_consistent(_mutex: *mut Mutex) -> c_int {
    EINVAL
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_mutex_init(mutex: *mut Mutex, attributes: *const c_int) -> c_int {
    // SAFETY: the mutex is writable, and the attributes are NULL or initialised, by contract.
    unsafe {
        let kind = if attributes.is_null() { 0 } else { *attributes };
        *mutex = Mutex { locked: 0, owner: 0, waiting: 0, unused: 0, kind, rest: [0; 5] };
    }
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_mutex_destroy(mutex: *mut Mutex) -> c_int {
    // SAFETY: the mutex is initialised by contract, here and below.
    if unsafe { (*mutex).locked } != 0 { EBUSY } else { 0 }
}

/// EDEADLK for a mutex that checks errors and is the caller's already; any other one that he has than a
/// recursive one ends the domain. Waits for other threads.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn pthread_mutex_lock(mutex: *mut Mutex) -> c_int {
    loop {
        // SAFETY: as above; nobody else accesses it as long as we do not wait.
        let m = unsafe { &mut *mutex };
        let mine = m.owner == number();
        match (m.locked, m.kind) {
            (0, _) => {
                (m.locked, m.owner) = (1, number());
                return 0;
            }
            (_, RECURSIVE) if mine => {
                m.locked += 1;
                return 0;
            }
            (_, ERRORCHECK) if mine => return EDEADLK,
            _ => {}
        }
        let others = table::get().filter(|_| !mine);
        let Some(threads) = others else { die::deadlock("pthread_mutex_lock") };
        m.waiting += 1;
        // SAFETY: as above.
        unsafe { (threads.lock)(mutex) };
        // SAFETY: as above: a mutex that somebody waits for is not destroyed.
        unsafe { (*mutex).waiting -= 1 };
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn pthread_mutex_trylock(mutex: *mut Mutex) -> c_int {
    // SAFETY: as above.
    let mutex = unsafe { &mut *mutex };
    match (mutex.locked, mutex.kind) {
        (0, _) => (mutex.locked, mutex.owner) = (1, number()),
        (_, RECURSIVE) if mutex.owner == number() => mutex.locked += 1,
        _ => return EBUSY,
    }
    0
}

/// EPERM when the mutex is not locked.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn pthread_mutex_unlock(mutex: *mut Mutex) -> c_int {
    // SAFETY: as above.
    let m = unsafe { &mut *mutex };
    if m.locked == 0 {
        return EPERM;
    }
    m.locked -= 1;
    if m.locked == 0 && m.waiting > 0 {
        wake(mutex.addr(), 1);
    }
    0
}

/// Wakes those who wait at an address, where there are others.
fn wake(address: usize, most: usize) {
    if let Some(threads) = table::get() {
        (threads.given.wake)(address, u32::MAX, most);
    }
}

/// `pthread_condattr_t` is an int: the clock.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_condattr_init(attributes: *mut c_int) -> c_int {
    // SAFETY: writable by contract, here and below.
    unsafe { *attributes = 0 };
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_condattr_destroy(_attributes: *mut c_int) -> c_int {
    0
}

/// As for mutexes.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_condattr_setpshared(attributes: *mut c_int, shared: c_int) -> c_int {
    pthread_mutexattr_setpshared(attributes, shared)
}

/// CLOCK_REALTIME (0) or CLOCK_MONOTONIC (1).
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_condattr_setclock(attributes: *mut c_int, clock: c_int) -> c_int {
    if !(0..=1).contains(&clock) {
        return EINVAL;
    }
    // SAFETY: as above.
    unsafe { *attributes = clock };
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_cond_init(
    condition: *mut Condition,
    attributes: *const c_int,
) -> c_int {
    // SAFETY: the condition is writable, the attributes null or initialised, by contract.
    unsafe {
        let monotonic = if attributes.is_null() { 0 } else { *attributes };
        condition.write(Condition { waiting: 0, signals: 0, monotonic, unused: [0; 9] });
    }
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_cond_destroy(_condition: *mut Condition) -> c_int {
    0
}

/// # Safety
///
/// The condition is initialised.
unsafe fn signal(condition: *mut Condition, most: usize) -> c_int {
    // SAFETY: the caller's promise; no reference is kept.
    unsafe {
        if (*condition).waiting > 0 {
            (*condition).signals = (*condition).signals.wrapping_add(1);
            wake(condition.addr(), most);
        }
    }
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_cond_signal(condition: *mut Condition) -> c_int {
    // SAFETY: initialised by contract, here and below.
    unsafe { signal(condition, 1) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_cond_broadcast(condition: *mut Condition) -> c_int {
    // SAFETY: as above.
    unsafe { signal(condition, usize::MAX) }
}

/// Ends the domain if nobody is there to signal.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_cond_wait(condition: *mut c_void, mutex: *mut Mutex) -> c_int {
    let Some(threads) = table::get() else { die::deadlock("pthread_cond_wait") };
    // SAFETY: both are initialised, and the mutex is the caller's, by contract.
    unsafe { (threads.wait_for_signal)(condition, mutex, u64::MAX) }
}

/// Runs `function` the first time. Other threads wait while it runs; a recursive call returns at once.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_once(control: *mut c_int, function: unsafe extern "C" fn()) -> c_int {
    const DONE: c_int = -1;
    // SAFETY: the control is an int that only this function accesses; the function can be called
    // by contract.
    unsafe {
        if *control == 0 {
            *control = number();
            function();
            *control = DONE;
            wake(control.addr(), usize::MAX);
        }
        while *control != DONE && *control != number() {
            // Somebody else is at it, so there are threads.
            let Some(threads) = table::get() else { break };
            (threads.wait_at)("pthread_once", control.addr());
        }
    }
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_equal(a: usize, b: usize) -> c_int {
    c_int::from(a == b)
}

/// Never 0, which some programs take for "no thread": the main stack is 1.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_self() -> usize {
    Block::current().map_or(1, |block| ptr::from_ref(block).expose_provenance())
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_getaffinity_np(
    _thread: usize,
    size: usize,
    set: *mut c_void,
) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { process::only_processor(size, set) }
}

/// EAGAIN where the program has no threads, or no memory for another.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_create(
    thread: *mut usize,
    attributes: *const Attributes,
    function: Function,
    argument: *mut c_void,
) -> c_int {
    static LOGGED: AtomicBool = AtomicBool::new(false);
    let Some(threads) = table::get() else {
        unsupported(&LOGGED, "pthread_create", "this image has one thread", EAGAIN);
        return EAGAIN;
    };
    // SAFETY: the contract is the same, here and below.
    unsafe { (threads.create)(thread, attributes, function, argument) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_join(thread: usize, result: *mut *mut c_void) -> c_int {
    // SAFETY: as above.
    table::get().map_or(ESRCH, |threads| unsafe { (threads.join)(thread, result) })
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_detach(thread: usize) -> c_int {
    // SAFETY: as above.
    table::get().map_or(ESRCH, |threads| unsafe { (threads.detach)(thread) })
}

/// No thread can be cancelled. OCaml 5.4 does so to its other domains when the program ends, and here it has none.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_cancel(_thread: usize) -> c_int {
    static LOGGED: AtomicBool = AtomicBool::new(false);
    unsupported(&LOGGED, "pthread_cancel", "threads cannot be cancelled", ESRCH);
    ESRCH
}

/// Defines those that say whether, or when, a thread may be cancelled: as before, since none can be.
macro_rules! cancelling {
    ($($name:ident)*) => {$(
        #[cfg_attr(feature = "symbols", unsafe(no_mangle))]
        unsafe extern "C" fn $name(new: c_int, old: *mut c_int) -> c_int {
            if !(0..=1).contains(&new) {
                return EINVAL;
            }
            if !old.is_null() {
                // SAFETY: writable by contract.
                unsafe { *old = 0 };
            }
            0
        }
    )*};
}

cancelling! {
    pthread_setcancelstate
    pthread_setcanceltype
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutex_keeps_its_kind_if_it_is_shared_and_robust() {
        let (mut attributes, mut mutex) = (0, mutex(0));
        // SAFETY: both are writable.
        unsafe {
            pthread_mutexattr_init(&raw mut attributes);
            pthread_mutexattr_settype(&raw mut attributes, RECURSIVE);
            assert_eq!(pthread_mutexattr_setpshared(&raw mut attributes, 1), 0);
            assert_eq!(pthread_mutexattr_setrobust(&raw mut attributes, 1), 0);
            assert_eq!(pthread_mutexattr_setrobust(&raw mut attributes, 2), EINVAL);
            assert_eq!(pthread_condattr_setpshared(&raw mut attributes, 7), EINVAL);
            pthread_mutex_init(&raw mut mutex, &raw const attributes);
            assert_eq!((mutex.kind, pthread_mutex_consistent(&raw mut mutex)), (RECURSIVE, EINVAL));
        }
    }
    use spin::Mutex as SpinMutex;

    fn mutex(kind: c_int) -> Mutex {
        let mut mutex = Mutex { locked: 3, owner: 1, waiting: 1, unused: 1, kind: 9, rest: [1; 5] };
        let mut attributes = 7;
        // SAFETY: both are writable.
        unsafe {
            assert_eq!(pthread_mutexattr_init(&raw mut attributes), 0);
            assert_eq!(pthread_mutexattr_settype(&raw mut attributes, kind), 0);
            assert_eq!(pthread_mutex_init(&raw mut mutex, &raw const attributes), 0);
        }
        mutex
    }

    #[test]
    fn a_recursive_mutex_counts() {
        let mut m = mutex(RECURSIVE);
        let m = &raw mut m;
        // SAFETY: the mutex is initialised.
        unsafe {
            assert_eq!((pthread_mutex_lock(m), pthread_mutex_lock(m)), (0, 0));
            assert_eq!((pthread_mutex_unlock(m), pthread_mutex_destroy(m)), (0, EBUSY));
            assert_eq!((pthread_mutex_unlock(m), pthread_mutex_unlock(m)), (0, EPERM));
        }
    }

    #[test]
    fn an_error_checking_mutex_reports_the_second_lock() {
        let mut m = mutex(ERRORCHECK);
        let m = &raw mut m;
        // SAFETY: the mutex is initialised.
        unsafe {
            assert_eq!((pthread_mutex_lock(m), pthread_mutex_lock(m)), (0, EDEADLK));
            assert_eq!((pthread_mutex_trylock(m), pthread_mutex_unlock(m)), (EBUSY, 0));
            assert_eq!((pthread_mutex_trylock(m), pthread_mutex_unlock(m)), (0, 0));
        }
    }

    #[test]
    fn static_initialisers_of_the_host_are_understood() {
        // SAFETY: both types are plain integers of the same size.
        let kind = |m: host_libc::pthread_mutex_t| unsafe {
            core::mem::transmute::<host_libc::pthread_mutex_t, Mutex>(m).kind
        };
        assert_eq!(kind(host_libc::PTHREAD_MUTEX_INITIALIZER), 0);
        assert_eq!(kind(host_libc::PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP), RECURSIVE);
        assert_eq!(kind(host_libc::PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP), ERRORCHECK);
    }

    #[test]
    fn once_runs_once() {
        static COUNT: SpinMutex<u32> = SpinMutex::new(0);
        unsafe extern "C" fn count() {
            *COUNT.lock() += 1;
        }
        let mut control = 0;
        // SAFETY: the control is an int of our own, and `count` can be called at any time.
        unsafe {
            pthread_once(&raw mut control, count);
            pthread_once(&raw mut control, count);
        }
        assert_eq!(*COUNT.lock(), 1);
    }
}
