//! `<pthread.h>` for the one thread of an image.
//!
//! Locks keep their state, so that a mutex locked twice is found out; what would wait for another
//! thread ends the domain with a reason, since it would wait forever. The layouts start with what
//! glibc's static initialisers set.

use super::errno::{EAGAIN, EBUSY, EDEADLK, EINVAL, EPERM, ESRCH};
use super::process;
use super::stub::stubs;
use core::ffi::{c_int, c_uint, c_void};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};
use spin::Mutex as SpinMutex;

/// `pthread_mutex_t`: 40 bytes, all zero for a normal one.
#[repr(C)]
struct Mutex {
    /// How often it is locked.
    locked: c_int,
    unused: [c_int; 3],
    /// One of the constants below.
    kind: c_int,
    rest: [c_int; 5],
}

const _: () = assert!(size_of::<Mutex>() == 40);

const RECURSIVE: c_int = 1;
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

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_mutex_init(mutex: *mut Mutex, attributes: *const c_int) -> c_int {
    // SAFETY: the mutex is writable, and the attributes are NULL or initialised, by contract.
    unsafe {
        let kind = if attributes.is_null() { 0 } else { *attributes };
        *mutex = Mutex { locked: 0, unused: [0; 3], kind, rest: [0; 5] };
    }
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_mutex_destroy(mutex: *mut Mutex) -> c_int {
    // SAFETY: the mutex is initialised by contract, here and below.
    if unsafe { (*mutex).locked } != 0 { EBUSY } else { 0 }
}

/// EDEADLK for a locked mutex that checks errors; any other one than a recursive one ends the
/// domain.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_mutex_lock(mutex: *mut Mutex) -> c_int {
    // SAFETY: as above; nobody else accesses it meanwhile, there being one thread.
    let mutex = unsafe { &mut *mutex };
    match (mutex.locked, mutex.kind) {
        (0, _) | (_, RECURSIVE) => mutex.locked += 1,
        (_, ERRORCHECK) => return EDEADLK,
        _ => process::deadlock("pthread_mutex_lock"),
    }
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_mutex_trylock(mutex: *mut Mutex) -> c_int {
    // SAFETY: as above.
    let mutex = unsafe { &mut *mutex };
    match (mutex.locked, mutex.kind) {
        (0, _) | (_, RECURSIVE) => mutex.locked += 1,
        _ => return EBUSY,
    }
    0
}

/// EPERM when the mutex is not locked.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_mutex_unlock(mutex: *mut Mutex) -> c_int {
    // SAFETY: as above.
    let mutex = unsafe { &mut *mutex };
    if mutex.locked == 0 {
        return EPERM;
    }
    mutex.locked -= 1;
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_condattr_init(_attributes: *mut c_int) -> c_int {
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_condattr_destroy(_attributes: *mut c_int) -> c_int {
    0
}

/// A timed wait does not exist, so the clock makes no difference.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_condattr_setclock(_attributes: *mut c_int, _clock: c_int) -> c_int {
    0
}

/// A condition has no state: nobody ever waits.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_cond_init(_condition: *mut c_void, _attributes: *const c_int) -> c_int {
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_cond_destroy(_condition: *mut c_void) -> c_int {
    0
}

/// Nobody waits.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_cond_signal(_condition: *mut c_void) -> c_int {
    0
}

/// Nobody waits.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_cond_broadcast(_condition: *mut c_void) -> c_int {
    0
}

/// Ends the domain: nobody is there to signal.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_cond_wait(_condition: *mut c_void, _mutex: *mut Mutex) -> c_int {
    process::deadlock("pthread_cond_wait")
}

/// Runs `function` the first time.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_once(control: *mut c_int, function: unsafe extern "C" fn()) -> c_int {
    // SAFETY: the control is an int that only this function accesses; the function can be called
    // by contract. It is marked as run first: one that calls back here must not run again.
    unsafe {
        if *control == 0 {
            *control = 1;
            function();
        }
    }
    0
}

/// As many as POSIX asks for.
const KEYS: usize = 128;

#[derive(Clone, Copy, PartialEq)]
enum Key {
    Free,
    Used,
}

static USED: SpinMutex<[Key; KEYS]> = SpinMutex::new([Key::Free; KEYS]);
static VALUES: [AtomicPtr<c_void>; KEYS] = [const { AtomicPtr::new(ptr::null_mut()) }; KEYS];

/// The destructor would run when a thread ends; the only one ends with the domain, by `exit`, where
/// C runs none.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_key_create(
    key: *mut c_uint,
    _destructor: Option<unsafe extern "C" fn(*mut c_void)>,
) -> c_int {
    let mut used = USED.lock();
    let Some(free) = used.iter().position(|&k| k == Key::Free) else {
        return EAGAIN;
    };
    used[free] = Key::Used;
    VALUES[free].store(ptr::null_mut(), Ordering::Relaxed);
    // SAFETY: `key` is writable by contract.
    unsafe { *key = free as c_uint };
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_key_delete(key: c_uint) -> c_int {
    match USED.lock().get_mut(key as usize) {
        Some(used @ Key::Used) => *used = Key::Free,
        _ => return EINVAL,
    }
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_setspecific(key: c_uint, value: *mut c_void) -> c_int {
    let Some(slot) = VALUES.get(key as usize) else { return EINVAL };
    slot.store(value, Ordering::Relaxed);
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_getspecific(key: c_uint) -> *mut c_void {
    VALUES.get(key as usize).map_or(ptr::null_mut(), |slot| slot.load(Ordering::Relaxed))
}

/// Never 0, which some programs take for "no thread".
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_self() -> usize {
    1
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

stubs! {
    EAGAIN pthread_create(*mut usize, *const c_void, *const c_void, *mut c_void) -> c_int
        = EAGAIN, "an image has one thread: use Lwt, or tasks of mirust";
    ESRCH pthread_join(usize, *mut c_void) -> c_int = ESRCH, "an image has one thread";
    ESRCH pthread_detach(usize) -> c_int = ESRCH, "an image has one thread";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutex(kind: c_int) -> Mutex {
        let mut mutex = Mutex { locked: 3, unused: [1; 3], kind: 9, rest: [1; 5] };
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
    fn keys_are_reused_and_start_empty() {
        let mut key = 999;
        // SAFETY: `key` is writable.
        unsafe { assert_eq!(pthread_key_create(&raw mut key, None), 0) };
        assert_eq!(pthread_setspecific(key, ptr::without_provenance_mut(5)), 0);
        assert_eq!(pthread_getspecific(key).addr(), 5);
        assert_eq!((pthread_key_delete(key), pthread_key_delete(key)), (0, EINVAL));
        let mut again = 999;
        // SAFETY: `again` is writable.
        unsafe { assert_eq!(pthread_key_create(&raw mut again, None), 0) };
        assert_eq!((again, pthread_getspecific(again)), (key, ptr::null_mut()));
        assert_eq!(pthread_setspecific(999, ptr::null_mut()), EINVAL);
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
