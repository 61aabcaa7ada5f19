//! Keys of `<pthread.h>`: each thread has a value of its own for each.

use super::errno::{EAGAIN, EINVAL};
use super::threads::block::{Block, KEYS, Value};
use core::ffi::{c_int, c_uint, c_void};
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use spin::Mutex;

type Destructor = unsafe extern "C" fn(*mut c_void);

#[derive(Clone, Copy)]
enum Key {
    Free,
    Used(Option<Destructor>),
}

static USED: Mutex<[Key; KEYS]> = Mutex::new([Key::Free; KEYS]);
/// How many keys have had each place: the number of the last one. What was set for another is NULL to it.
static NUMBERS: [AtomicU64; KEYS] = [const { AtomicU64::new(0) }; KEYS];
/// The main stack's values. Threads have theirs in their block.
static VALUES: [AtomicPtr<c_void>; KEYS] = [const { AtomicPtr::new(ptr::null_mut()) }; KEYS];

/// The destructor runs when a thread ends; the main stack's ends with the domain, by `exit`, where
/// C runs none. A key that was used before has no values.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_key_create(key: *mut c_uint, destructor: Option<Destructor>) -> c_int {
    for (place, used) in USED.lock().iter_mut().enumerate() {
        if let Key::Free = used {
            *used = Key::Used(destructor);
            VALUES[place].store(ptr::null_mut(), Ordering::Relaxed);
            NUMBERS[place].fetch_add(1, Ordering::Relaxed);
            // SAFETY: `key` is writable by contract.
            unsafe { *key = place as c_uint };
            return 0;
        }
    }
    EAGAIN
}

/// The number of the last key that has had this place.
fn number(place: usize) -> u64 {
    NUMBERS[place].load(Ordering::Relaxed)
}

impl Value {
    /// For the key that has this place now.
    fn get(&self, place: usize) -> *mut c_void {
        if self.of.get() == number(place) { self.pointer.get() } else { ptr::null_mut() }
    }

    fn set(&self, place: usize, pointer: *mut c_void) {
        self.of.set(number(place));
        self.pointer.set(pointer);
    }
}

/// Calls the destructors of a thread's values, again if they leave new ones, but not for ever.
///
/// # Safety
///
/// The values are of the thread that ends.
pub(super) unsafe fn run_key_destructors(values: &[Value; KEYS]) {
    // PTHREAD_DESTRUCTOR_ITERATIONS
    for _ in 0..4 {
        let mut called = false;
        for (place, value) in values.iter().enumerate() {
            let pointer = value.get(place);
            if pointer.is_null() {
                continue;
            }
            // Destructors may make and delete keys, and switch to another thread that ends: the list is not locked
            // while one runs, and read anew for the next.
            let used = USED.lock()[place];
            let Key::Used(Some(destructor)) = used else { continue };
            called = true;
            value.set(place, ptr::null_mut());
            // SAFETY: who created the key promised that it can be called with each value that is set for it.
            unsafe { destructor(pointer) };
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
        Some(own) => own.set(key as usize, value),
        None => slot.store(value, Ordering::Relaxed),
    }
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_getspecific(key: c_uint) -> *mut c_void {
    let Some(slot) = VALUES.get(key as usize) else { return ptr::null_mut() };
    match Block::current().and_then(|block| block.values.get(key as usize)) {
        Some(own) => own.get(key as usize),
        None => slot.load(Ordering::Relaxed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For a test that expects to get the key that it has just deleted.
    static KEYS_ARE_REUSED: Mutex<()> = Mutex::new(());

    #[test]
    fn a_destructor_of_a_key_may_make_another() {
        let _alone = KEYS_ARE_REUSED.lock();
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
            let values = [const { Value::new() }; KEYS];
            values[key as usize].set(key as usize, (&raw mut made).cast());
            run_key_destructors(&values);
        }
        assert!((made as usize) < KEYS);
        assert_eq!((pthread_key_delete(key), pthread_key_delete(made)), (0, 0));
    }

    #[test]
    fn what_a_thread_has_set_for_a_key_that_is_gone_is_nothing_to_the_next() {
        static CALLED_WITH: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
        unsafe extern "C" fn destructor(value: *mut c_void) {
            CALLED_WITH.store(value, Ordering::Relaxed);
        }
        let _alone = KEYS_ARE_REUSED.lock();
        let create = || {
            let mut key = 999;
            // SAFETY: `key` is writable.
            unsafe { assert_eq!(pthread_key_create(&raw mut key, Some(destructor)), 0) };
            key
        };
        let [old, own] = [1, 2].map(ptr::without_provenance_mut::<c_void>);
        let values = [const { Value::new() }; KEYS];
        let key = create();
        let value = &values[key as usize];
        value.set(key as usize, old);
        assert_eq!(value.get(key as usize), old);
        // The thread lives on, and its key is another's.
        assert_eq!((pthread_key_delete(key), create()), (0, key));
        assert!(value.get(key as usize).is_null());
        // SAFETY: the destructor takes any value.
        unsafe { run_key_destructors(&values) };
        assert!(CALLED_WITH.load(Ordering::Relaxed).is_null());
        value.set(key as usize, own);
        // SAFETY: as before.
        unsafe { run_key_destructors(&values) };
        assert_eq!((CALLED_WITH.load(Ordering::Relaxed), pthread_key_delete(key)), (own, 0));
    }

    #[test]
    fn keys_are_reused_and_start_empty() {
        let _alone = KEYS_ARE_REUSED.lock();
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
