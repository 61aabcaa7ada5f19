//! Threads: what the C symbols do when there is more than the main stack.
//!
//! A program that starts no thread contains none of this. The linker decides: `THREADS` is in a section that is
//! dropped unless something refers to it, and only functions that such a program does not call do so: those for
//! thread attributes, and those that sleep. All other functions of this crate check whether it exists (`table`),
//! and otherwise behave as in the only thread.
//!
//! The threads themselves are [passed in](Fibers) by the crate that wires the image together. They are not preempted,
//! and run one at a time: between two calls that may wait, a function here cannot be interrupted.
//!
//! From the bottom up:
//!
//! ```text
//!   attributes  exit  locks  timed       C symbols that make a program one with threads: they need THREADS
//!   THREADS                              here
//!   conditions  futex  lifetime          its contents: called only through it
//!   ../pthread, ../process, ../syscall   C symbols that every program has: they check the table
//!   table  waiting
//!   block  fibers  objects
//! ```

mod attributes;
pub(crate) mod block;
mod conditions;
mod exit;
mod fibers;
mod futex;
mod lifetime;
mod locks;
pub(crate) mod objects;
mod semaphores;
pub(crate) mod table;
mod timed;
mod waiting;

use super::errno;
pub use fibers::{Fibers, Start, Waited};
pub use table::fibers;

#[cfg_attr(feature = "symbols", unsafe(link_section = ".mirust.threads"))]
static THREADS: table::Threads = table::Threads {
    given: fibers::given(),
    create: lifetime::create,
    join: lifetime::join,
    detach: lifetime::detach,
    futex: futex::call,
    wait_for_signal: conditions::wait,
    sleep: waiting::sleep_until,
    until: waiting::until,
    lock: |mutex| waiting::wait_at("pthread_mutex_lock", mutex.addr()),
    wait_at: waiting::wait_at,
};

/// The implementation of threads. Calling this makes the program one that may have some.
fn required() -> &'static Fibers {
    // The compiler knows the contents, and could optimise the access away; but the section must stay.
    core::hint::black_box(&THREADS).given
}

/// Two words of the running thread, saved and restored when threads are switched.
///
/// Their address never changes, so that C code may keep that of `errno`.
pub fn own() -> *mut [usize; 2] {
    errno::own().cast()
}
