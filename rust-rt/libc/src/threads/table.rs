//! What functions that every program has do if there are threads: they find it here, unless the linker has dropped it.

use core::ffi::{c_int, c_uint, c_void};

use super::fibers::{Fibers, Waited};
use super::objects::{Attributes, Mutex};
use crate::timespec::Timespec;

/// The first function of a thread.
pub(crate) type Function = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

/// Arguments of the system call `futex`.
pub(crate) struct FutexCall {
    pub(crate) word: *const c_uint,
    pub(crate) operation: c_int,
    pub(crate) value: c_uint,
    /// A time limit, or null.
    pub(crate) timeout: *const Timespec,
    /// The last argument: a mask.
    pub(crate) mask: u32,
}

/// The functions; `super` has the one of this type that there is.
#[repr(C)]
pub(crate) struct Threads {
    /// What the threads are made of.
    pub(crate) given: &'static Fibers,
    pub(crate) create: unsafe fn(*mut usize, *const Attributes, Function, *mut c_void) -> c_int,
    pub(crate) join: unsafe fn(usize, *mut *mut c_void) -> c_int,
    pub(crate) detach: unsafe fn(usize) -> c_int,
    pub(crate) futex: unsafe fn(&FutexCall) -> isize,
    pub(crate) wait_for_signal: unsafe fn(*mut c_void, *mut Mutex, u64) -> c_int,
    pub(crate) sleep: fn(&str, u64) -> Waited,
    pub(crate) until: fn(u64, &mut dyn FnMut() -> bool) -> Waited,
    pub(crate) lock: unsafe fn(*mut Mutex),
    pub(crate) wait_at: fn(&str, usize),
}

/// The threads, if the program may have any.
#[cfg(feature = "symbols")]
#[inline(always)]
pub(crate) fn get() -> Option<&'static Threads> {
    // SAFETY: the link script's symbol; a word is there in any case.
    unsafe extern "C" {
        // Where the link script has the section, and a zero behind it.
        static __threads: usize;
    }
    // SAFETY: the section holds nothing but the table, whose first word is not zero, or nothing.
    unsafe { (__threads != 0).then(|| &*(&raw const __threads).cast::<Threads>()) }
}

/// The host's program has none of ours.
#[cfg(not(feature = "symbols"))]
pub(crate) fn get() -> Option<&'static Threads> {
    None
}

/// What the threads are made of, if the program may have any.
pub fn fibers() -> Option<&'static Fibers> {
    get().map(|threads| threads.given)
}
