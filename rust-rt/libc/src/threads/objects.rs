//! The objects of `<pthread.h>` that several files here know. The layouts begin with what glibc's static
//! initialisers set.

use core::ffi::{c_int, c_uint};

/// `pthread_mutex_t`: 40 bytes, all zero for a normal one.
#[repr(C)]
pub(crate) struct Mutex {
    /// How often it is locked.
    pub(crate) locked: c_int,
    /// By whom.
    pub(crate) owner: c_int,
    /// How many wait for it.
    pub(crate) waiting: c_int,
    pub(crate) unused: c_int,
    /// Whether it may be locked twice, as `pthread.rs` has it.
    pub(crate) kind: c_int,
    pub(crate) rest: [c_int; 5],
}

const _: () = assert!(size_of::<Mutex>() == 40);

/// `pthread_cond_t`: 48 bytes, all zero for one whose clock is the wall's.
#[repr(C)]
pub(crate) struct Condition {
    /// How many wait for it.
    pub(crate) waiting: c_uint,
    /// Counts the signals.
    pub(crate) signals: c_uint,
    /// Not 0 if its clock is the monotonic one.
    pub(crate) monotonic: c_int,
    pub(crate) unused: [c_int; 9],
}

const _: () = assert!(size_of::<Condition>() == 48);

/// `pthread_attr_t`: 56 bytes.
#[repr(C)]
pub(crate) struct Attributes {
    /// Bytes that were asked for; 0 if none were.
    pub(super) stack: usize,
    /// Not 0 for a thread that nobody joins.
    pub(super) detached: c_int,
    pub(super) scope: c_int,
    pub(super) guard: usize,
    /// The stack of the thread that these attributes are of.
    pub(super) low: usize,
    pub(super) unused: [usize; 3],
}

const _: () = assert!(size_of::<Attributes>() == 56);
