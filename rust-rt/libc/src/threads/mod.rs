//! Threads: what the C symbols do when there is more than the main stack.
//!
//! A program that starts no thread has nothing of this. The link decides: `THREADS` is in a section that
//! is dropped unless somebody refers to it, and only functions that such a program does not call do:
//! those for a thread's attributes, and those that sleep. All other functions of this crate
//! look whether it is there, and go on as the only thread otherwise.
//!
//! The threads themselves are [given](Fibers), by whoever wires the image together. Nothing preempts
//! them, and they run one at a time: between two calls that may wait, a function here need fear nobody.

mod attributes;
mod block;
mod conditions;
mod futex;
mod lifetime;
mod locks;
mod sleep;

use core::ffi::{c_int, c_void};
use core::sync::atomic::AtomicBool;

use super::errno;
use super::stub::unsupported;
pub(super) use block::{Block, Handler, KEYS};
pub(super) use futex::Call as FutexCall;

/// What the threads are made of. Every function is called on the one thread of execution.
pub struct Fibers {
    /// Starts a thread that calls `run(argument)`, with this name and these words of its [`own`], on a stack
    /// of so many bytes (0: no opinion). False if there is no memory for it.
    pub start: fn(start: &Start<'_>) -> bool,
    /// The thread that runs, as a name for `set_name`; null on the main stack.
    pub current: fn() -> *const (),
    /// Gives a thread another name.
    pub set_name: unsafe fn(thread: *const (), name: &str),
    /// The stack that the caller is on: its lowest address, and one beyond its highest.
    pub bounds: fn() -> (usize, usize),
    /// Ends the thread that runs, which is not the main stack.
    pub exit: fn() -> !,
    /// Waits until a `wake` at the same address whose mask meets this one, at most until the deadline, in
    /// ns since boot; `u64::MAX` is never.
    pub wait: fn(address: usize, mask: u32, deadline: u64) -> Waited,
    /// Wakes so many of those who wait, the first first; gives how many there were.
    pub wake: fn(address: usize, mask: u32, most: usize) -> usize,
    /// Lets everybody else go first; false if the caller cannot.
    pub yield_now: fn() -> bool,
    /// Sleeps until this time, in ns since boot; false if the caller cannot.
    pub sleep_until: fn(deadline: u64) -> bool,
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
    /// The first value of its [`own`] words.
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
const ANY: u32 = u32::MAX;

/// A deadline that never comes.
const NEVER: u64 = u64::MAX;

/// What functions do that every program has, where there are threads.
#[repr(C)]
pub(super) struct Threads {
    /// What the threads are made of.
    pub(super) given: &'static Fibers,
    pub(super) create: lifetime::Create,
    pub(super) join: unsafe fn(usize, *mut *mut c_void) -> c_int,
    pub(super) detach: unsafe fn(usize) -> c_int,
    pub(super) futex: unsafe fn(&futex::Call) -> isize,
    pub(super) wait_for_signal: unsafe fn(*mut c_void, *mut super::pthread::Mutex, u64) -> c_int,
    pub(super) sleep: fn(&str, u64) -> bool,
    pub(super) lock: unsafe fn(*mut super::pthread::Mutex),
    pub(super) wait_at: fn(&str, usize),
}

#[cfg_attr(feature = "symbols", unsafe(link_section = ".mirust.threads"))]
static THREADS: Threads = Threads {
    given: given(),
    create: lifetime::create,
    join: lifetime::join,
    detach: lifetime::detach,
    futex: futex::call,
    wait_for_signal: conditions::wait,
    sleep: sleep::until,
    lock: |mutex| wait_at("pthread_mutex_lock", mutex.addr()),
    wait_at,
};

/// Waits until somebody wakes at the address, for a function that cannot fail.
fn wait_at(function: &str, address: usize) {
    must_wait(function, (required().given.wait)(address, ANY, NEVER));
}

#[cfg(feature = "symbols")]
const fn given() -> &'static Fibers {
    unsafe extern "Rust" {
        /// Defined by the crate that wires the image together.
        safe static __mirust_fibers: Fibers;
    }
    &__mirust_fibers
}

/// The threads, if the program may have any.
#[cfg(feature = "symbols")]
#[inline(always)]
pub(super) fn get() -> Option<&'static Threads> {
    unsafe extern "C" {
        // Where the link script has the section, and a zero behind it.
        static __threads: usize;
    }
    // SAFETY: the section holds nothing but `THREADS`, whose first word is not zero, or nothing.
    unsafe { (__threads != 0).then(|| &*(&raw const __threads).cast::<Threads>()) }
}

/// The threads. Referring to this makes the program one that may have some.
#[cfg(feature = "symbols")]
pub(super) fn required() -> &'static Threads {
    // The compiler knows what is in there, and could do without it; the section must stay.
    core::hint::black_box(&THREADS)
}

/// What the threads are made of, if the program may have any.
pub fn fibers() -> Option<&'static Fibers> {
    get().map(|threads| threads.given)
}

// On the host there are none, but in tests of the functions here.
#[cfg(not(feature = "symbols"))]
mod host {
    use super::*;

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
            sleep_until: |_| false,
            set_order: |_| (),
            stack_owner: |_| None,
        };
        &FIBERS
    }

    pub(in super::super) fn get() -> Option<&'static Threads> {
        None
    }

    pub(in super::super) fn required() -> &'static Threads {
        &THREADS
    }
}
#[cfg(not(feature = "symbols"))]
use host::given;
#[cfg(not(feature = "symbols"))]
pub(super) use host::{get, required};

const WHY: &str = "a task of mirust::spawn cannot block: await, or do this on a thread";

/// The caller, a task of the executor, cannot do what `function` needs: says so in the log, each time.
fn refused(function: &str) {
    unsupported(&AtomicBool::new(false), function, WHY, errno::EDEADLK);
}

/// As [`refused`], where C has no way to answer with an error.
fn must_wait(function: &str, waited: Waited) {
    if waited == Waited::Refused {
        super::process::die(format_args!("{function}: {WHY}"))
    }
}

/// Two words that belong to the thread that runs: whoever switches threads keeps them.
///
/// Its address never changes, so that C code may keep that of `errno`.
pub fn own() -> *mut [usize; 2] {
    errno::own().cast()
}
