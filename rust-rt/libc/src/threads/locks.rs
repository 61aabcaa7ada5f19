//! Read-write locks and barriers of C. (Rust's are made of futexes.)

use core::ffi::{c_int, c_uint, c_void};
use core::mem::offset_of;

use super::block::number;
use super::fibers::{ANY, NEVER, Waited};
use super::futex::on_monotonic;
use super::required;
use super::waiting::must_wait;
use crate::errno::{EBUSY, EDEADLK, EINVAL, EPERM, ETIMEDOUT};
use crate::timespec::Timespec;

/// `pthread_rwlock_t`: 56 bytes, all zero for a free one. What it prefers is where glibc's static initialisers have it.
#[repr(C)]
struct RwLock {
    readers: c_uint,
    /// The thread that writes; 0 for none.
    writer: c_int,
    /// Writers that wait.
    writers: c_uint,
    unused: [c_uint; 9],
    kind: c_int,
    rest: c_uint,
}

const _: () = assert!(size_of::<RwLock>() == 56 && offset_of!(RwLock, kind) == 48);

/// `PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP`: new readers let writers that wait go first. With all other kinds a
/// reader comes in wherever others read, as it may be one of those: it would otherwise wait for itself.
const WRITERS_FIRST: c_int = 2;

impl RwLock {
    fn readable(&self) -> bool {
        self.writer == 0 && (self.writers == 0 || self.kind != WRITERS_FIRST)
    }

    fn writable(&self) -> bool {
        self.writer == 0 && self.readers == 0
    }
}

/// `pthread_rwlockattr_t`: 8 bytes.
#[repr(C)]
struct RwLockAttributes {
    kind: c_int,
    /// Whether other processes use it, of which there are none.
    shared: c_int,
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_rwlockattr_init(attributes: *mut RwLockAttributes) -> c_int {
    // SAFETY: writable by contract, here and below.
    unsafe { attributes.write(RwLockAttributes { kind: 0, shared: 0 }) };
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_rwlockattr_destroy(_attributes: *mut RwLockAttributes) -> c_int {
    0
}

/// Defines the functions that set and get an attribute, which is one of the first few numbers.
macro_rules! attributes {
    ($($set:ident $get:ident $field:ident $most:expr;)*) => {$(
        #[cfg_attr(feature = "symbols", unsafe(no_mangle))]
        unsafe extern "C" fn $set(attributes: *mut RwLockAttributes, value: c_int) -> c_int {
            if !(0..=$most).contains(&value) {
                return EINVAL;
            }
            // SAFETY: as above.
            unsafe { (*attributes).$field = value };
            0
        }

        #[cfg_attr(feature = "symbols", unsafe(no_mangle))]
        unsafe extern "C" fn $get(attributes: *const RwLockAttributes, value: *mut c_int) -> c_int {
            // SAFETY: as above.
            unsafe { *value = (*attributes).$field };
            0
        }
    )*};
}

attributes! {
    pthread_rwlockattr_setkind_np
    pthread_rwlockattr_getkind_np kind WRITERS_FIRST;
    pthread_rwlockattr_setpshared
    pthread_rwlockattr_getpshared shared 1;
}

/// `pthread_spinlock_t` is an int: who waits for it lets the others go on.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_spin_init(lock: *mut c_int, _shared: c_int) -> c_int {
    // SAFETY: writable by contract, here and below.
    unsafe { *lock = 0 };
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_spin_destroy(_lock: *mut c_int) -> c_int {
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_spin_trylock(lock: *mut c_int) -> c_int {
    // SAFETY: as above.
    if unsafe { lock.replace(1) } == 0 { 0 } else { EBUSY }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_spin_lock(lock: *mut c_int) -> c_int {
    // SAFETY: as above; nobody else accesses it until we wait.
    while unsafe { pthread_spin_trylock(lock) } != 0 {
        must_wait("a spin lock", (required().wait)(lock.addr(), ANY, NEVER));
    }
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_spin_unlock(lock: *mut c_int) -> c_int {
    // SAFETY: as above.
    unsafe { *lock = 0 };
    (required().wake)(lock.addr(), ANY, 1);
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_rwlock_init(
    lock: *mut RwLock,
    attributes: *const RwLockAttributes,
) -> c_int {
    // SAFETY: writable by contract, and the attributes are NULL or initialised.
    unsafe {
        lock.write_bytes(0, 1);
        (*lock).kind = attributes.as_ref().map_or(0, |attributes| attributes.kind);
    }
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_rwlock_destroy(lock: *mut RwLock) -> c_int {
    // SAFETY: initialised by contract, here and below.
    if unsafe { (*lock).writable() } { 0 } else { EBUSY }
}

/// Waits until `free`, at most until the deadline.
///
/// # Safety
///
/// The lock is initialised.
unsafe fn until(lock: *mut RwLock, deadline: u64, free: fn(&RwLock) -> bool) -> c_int {
    // SAFETY: no reference is kept over the wait.
    while !free(unsafe { &*lock }) {
        let waited = (required().wait)(lock.addr(), ANY, deadline);
        must_wait("a read-write lock", waited);
        if waited == Waited::TimedOut {
            return ETIMEDOUT;
        }
    }
    0
}

unsafe fn read(lock: *mut RwLock, deadline: u64) -> c_int {
    // SAFETY: the callers' locks are initialised.
    unsafe {
        if (*lock).writer == number() {
            return EDEADLK;
        }
        let error = until(lock, deadline, RwLock::readable);
        (*lock).readers += c_uint::from(error == 0);
        error
    }
}

unsafe fn write(lock: *mut RwLock, deadline: u64) -> c_int {
    // SAFETY: as in `read`.
    unsafe {
        if (*lock).writer == number() {
            return EDEADLK;
        }
        (*lock).writers += 1;
        let error = until(lock, deadline, RwLock::writable);
        (*lock).writers -= 1;
        if error == 0 {
            (*lock).writer = number();
        } else {
            // Readers may have waited for us.
            (required().wake)(lock.addr(), ANY, usize::MAX);
        }
        error
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_rwlock_rdlock(lock: *mut RwLock) -> c_int {
    // SAFETY: as above.
    unsafe { read(lock, NEVER) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_rwlock_wrlock(lock: *mut RwLock) -> c_int {
    // SAFETY: as above.
    unsafe { write(lock, NEVER) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_rwlock_timedrdlock(lock: *mut RwLock, time: *const Timespec) -> c_int {
    // SAFETY: as above, and the time is readable by contract.
    unsafe { (*time).deadline_ns().map_or(EINVAL, |ns| read(lock, on_monotonic(ns))) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_rwlock_timedwrlock(lock: *mut RwLock, time: *const Timespec) -> c_int {
    // SAFETY: as above.
    unsafe { (*time).deadline_ns().map_or(EINVAL, |ns| write(lock, on_monotonic(ns))) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_rwlock_tryrdlock(lock: *mut RwLock) -> c_int {
    // SAFETY: as above.
    unsafe {
        if !(*lock).readable() {
            return EBUSY;
        }
        (*lock).readers += 1;
    }
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_rwlock_trywrlock(lock: *mut RwLock) -> c_int {
    // SAFETY: as above.
    unsafe {
        if !(*lock).writable() {
            return EBUSY;
        }
        (*lock).writer = number();
    }
    0
}

/// EPERM when nobody has it.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_rwlock_unlock(lock: *mut RwLock) -> c_int {
    // SAFETY: as above.
    unsafe {
        match &mut *lock {
            RwLock { writer, .. } if *writer != 0 => *writer = 0,
            RwLock { readers, .. } if *readers != 0 => *readers -= 1,
            _ => return EPERM,
        }
        if (*lock).writable() {
            (required().wake)(lock.addr(), ANY, usize::MAX);
        }
    }
    0
}

/// `pthread_barrier_t`: 32 bytes.
#[repr(C)]
struct Barrier {
    /// How many have to come.
    size: c_uint,
    here: c_uint,
    /// Counts the times that all were here.
    round: c_uint,
    unused: [c_uint; 5],
}

const _: () = assert!(size_of::<Barrier>() == 32);

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_barrier_init(
    barrier: *mut Barrier,
    _attributes: *const c_void,
    size: c_uint,
) -> c_int {
    if size == 0 {
        return EINVAL;
    }
    // SAFETY: writable by contract.
    unsafe { barrier.write(Barrier { size, here: 0, round: 0, unused: [0; 5] }) };
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_barrier_destroy(barrier: *mut Barrier) -> c_int {
    // SAFETY: initialised by contract, here and below.
    if unsafe { (*barrier).here } == 0 { 0 } else { EBUSY }
}

/// -1 (PTHREAD_BARRIER_SERIAL_THREAD) for the last that comes, 0 for the others.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_barrier_wait(barrier: *mut Barrier) -> c_int {
    let given = required();
    // SAFETY: as above; no reference is kept over the wait.
    unsafe {
        (*barrier).here += 1;
        if (*barrier).here == (*barrier).size {
            (*barrier).here = 0;
            (*barrier).round = (*barrier).round.wrapping_add(1);
            (given.wake)(barrier.addr(), ANY, usize::MAX);
            return -1;
        }
        let round = (*barrier).round;
        // Volatile: another thread changes it while we wait.
        while (&raw const (*barrier).round).read_volatile() == round {
            must_wait("pthread_barrier_wait", (given.wait)(barrier.addr(), ANY, NEVER));
        }
    }
    0
}
