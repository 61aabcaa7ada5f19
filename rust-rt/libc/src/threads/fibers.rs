//! What threads are made of.

use core::ffi::c_void;

/// What the threads are made of. Every function is called on the one thread of execution.
pub struct Fibers {
    /// Starts a thread that calls `run(argument)`, with this name and these words of its [`own`](super::own), on a
    /// stack of this many bytes (0: no opinion). False if there is no memory for it.
    pub start: fn(start: &Start<'_>) -> bool,
    /// The thread that runs, as a name for `set_name`; null on the main stack.
    pub current: fn() -> *const (),
    /// Gives a thread another name.
    pub set_name: unsafe fn(thread: *const (), name: &str),
    /// The stack that the caller is on: its lowest address, and one beyond its highest.
    pub bounds: fn() -> (usize, usize),
    /// Ends the thread that runs, which is not the main stack, and to whose stack nothing may refer any more.
    pub exit: unsafe fn() -> !,
    /// Waits until a `wake` at the same address whose mask meets this one, at most until the deadline, in
    /// ns since boot; `u64::MAX` is never.
    pub wait: fn(address: usize, mask: u32, deadline: u64) -> Waited,
    /// Wakes up to `most` waiters, in order of arrival; returns how many there were.
    pub wake: fn(address: usize, mask: u32, most: usize) -> usize,
    /// Lets all others run first; false if the caller cannot.
    pub yield_now: fn() -> bool,
    /// The program has read a clock, the wall clock or the monotonic one, and this time in ns from it: if the caller is
    /// a thread that has long had its turn, it lets everybody else go first.
    pub clock_was_read: fn(is_wall: bool, ns: u64),
    /// Another order of threads for each seed but 0.
    pub set_order: fn(seed: u64),
    /// The name of the thread whose stack ended above `address`. For a report after which nothing runs.
    pub stack_owner: unsafe fn(address: usize) -> Option<&'static str>,
}

/// A thread to be started.
pub struct Start<'a> {
    /// Bytes of stack; 0 if nobody has an opinion.
    pub stack: usize,
    /// Its name.
    pub name: &'a str,
    /// The first value of its [`own`](super::own) words.
    pub own: [usize; 2],
    /// What it calls, and ends.
    pub run: unsafe extern "C" fn(*mut c_void),
    /// The argument of that.
    pub argument: *mut c_void,
}

/// How a wait has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waited {
    /// By a wake.
    Woken,
    /// By its deadline.
    TimedOut,
    /// It never began: the caller is a task of the executor, which cannot wait.
    Refused,
}

/// Every waiter of an address.
pub(crate) const ANY: u32 = u32::MAX;

/// A deadline that never comes.
pub(crate) const NEVER: u64 = u64::MAX;

/// Those of this program. That something calls this does not make the program one that has threads: see
/// [`required`](super::required).
#[cfg(feature = "symbols")]
pub(super) const fn given() -> &'static Fibers {
    // SAFETY: the crate that wires the image together defines it with this type, and nobody writes to it.
    unsafe extern "Rust" {
        /// Defined by the crate that wires the image together.
        safe static __mirust_fibers: Fibers;
    }
    &__mirust_fibers
}

/// On the host there are none, but in tests of the functions here.
#[cfg(not(feature = "symbols"))]
pub(super) const fn given() -> &'static Fibers {
    static FIBERS: Fibers = Fibers {
        start: |_| false,
        current: core::ptr::null,
        set_name: |_, _| (),
        bounds: || (0, 0),
        exit: || panic!("there are no threads on the host"),
        wait: |_, _, _| Waited::Refused,
        wake: |_, _, _| 0,
        yield_now: || false,
        clock_was_read: |_, _| (),
        set_order: |_| (),
        stack_owner: |_| None,
    };
    &FIBERS
}
