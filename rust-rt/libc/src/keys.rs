//! Keys of `<pthread.h>`: each thread has a value of its own for each.

use super::errno::{EAGAIN, EINVAL};
use super::threads::{Block, KEYS};
use core::cell::Cell;
use core::ffi::{c_int, c_uint, c_void};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};
use spin::Mutex;

type Destructor = unsafe extern "C" fn(*mut c_void);

#[derive(Clone, Copy)]
enum Key {
    Free,
    Used(Option<Destructor>),
}

static USED: Mutex<[Key; KEYS]> = Mutex::new([Key::Free; KEYS]);
/// The main stack's values. Threads have theirs in their block.
static VALUES: [AtomicPtr<c_void>; KEYS] = [const { AtomicPtr::new(ptr::null_mut()) }; KEYS];

/// The destructor runs when a thread ends; the main stack's ends with the domain, by `exit`, where
/// C runs none. A key that was used before has no values.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_key_create(key: *mut c_uint, destructor: Option<Destructor>) -> c_int {
    for (number, (used, value)) in USED.lock().iter_mut().zip(&VALUES).enumerate() {
        if let Key::Free = used {
            *used = Key::Used(destructor);
            value.store(ptr::null_mut(), Ordering::Relaxed);
            // SAFETY: `key` is writable by contract.
            unsafe { *key = number as c_uint };
            return 0;
        }
    }
    EAGAIN
}

/// Calls the destructors of a thread's values, again if they leave new ones, but not for ever.
///
/// # Safety
///
/// The values are of the thread that ends.
pub(super) unsafe fn run_key_destructors(values: &[Cell<*mut c_void>; KEYS]) {
    // PTHREAD_DESTRUCTOR_ITERATIONS
    for _ in 0..4 {
        let mut called = false;
        // Destructors may make and delete keys, and switch to another thread that ends: the list is not locked while one
        // runs. In the head of the loop it would be, to the loop's end.
        let keys = *USED.lock();
        for (value, used) in values.iter().zip(keys) {
            let destructor = match used {
                Key::Used(Some(destructor)) if !value.get().is_null() => destructor,
                _ => continue,
            };
            called = true;
            // SAFETY: who created the key promised that it can be called with each value.
            unsafe { destructor(value.replace(ptr::null_mut())) };
        }
        if !called {
            break;
        }
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_key_delete(key: c_uint) -> c_int {
    match USED.lock().get_mut(key as usize) {
        Some(used @ Key::Used(_)) => *used = Key::Free,
        _ => return EINVAL,
    }
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_setspecific(key: c_uint, value: *mut c_void) -> c_int {
    let Some(slot) = VALUES.get(key as usize) else { return EINVAL };
    match Block::current().and_then(|block| block.values.get(key as usize)) {
        Some(own) => own.set(value),
        None => slot.store(value, Ordering::Relaxed),
    }
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_getspecific(key: c_uint) -> *mut c_void {
    let Some(slot) = VALUES.get(key as usize) else { return ptr::null_mut() };
    match Block::current().and_then(|block| block.values.get(key as usize)) {
        Some(own) => own.get(),
        None => slot.load(Ordering::Relaxed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destructor_of_a_key_may_make_another() {
        /// # Safety
        ///
        /// The value is where a key's number can be written.
        unsafe extern "C" fn destructor(made: *mut c_void) {
            // SAFETY: the caller says so.
            unsafe { assert_eq!(pthread_key_create(made.cast(), None), 0) }
        }
        let (mut key, mut made) = (0, c_uint::MAX);
        // SAFETY: the number is writable, and the destructor gets the value that it expects.
        unsafe {
            assert_eq!(pthread_key_create(&raw mut key, Some(destructor)), 0);
            let values = [const { Cell::new(ptr::null_mut()) }; KEYS];
            values[key as usize].set((&raw mut made).cast());
            run_key_destructors(&values);
        }
        assert!((made as usize) < KEYS);
        assert_eq!((pthread_key_delete(key), pthread_key_delete(made)), (0, 0));
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
}
