//! Threads for code that blocks, on an executor that never does.
//!
//! An image has one virtual CPU, one loop, and one place that sleeps. Programs written for an operating system block
//! anywhere. This crate lets them: a blocking call passes a future to [`block_on`], which waits for it in a way that
//! depends on the stack it was called on.
//!
//! | called on | what happens |
//! |---|---|
//! | the main stack | the domain is polled from here, including OCaml's turn, until the future is ready |
//! | a thread | execution leaves the thread's stack; a task of the executor polls the future, and switches back when it is ready |
//! | a task of the executor, or an event handler | [`CannotBlock`]: further down that very stack, a poll is in progress |
//!
//! # A thread
//!
//! A thread is a task of the executor with its own [stack]. In the task's turn it switches to that stack, and
//! the thread runs until it blocks or ends. It is not preempted; at most it is made to give way when it reads the
//! clock ([`clock_was_read`]).
//!
//! ```text
//!   main stack                                   the thread's stack
//!   poll ─ turn ─ task ──── switch ────────────► … user code …
//!                  ▲                              block_on(future)
//!                  └─────── switch ◄──────────────┘  "poll this for me"
//!                 polls the future here:
//!                    pending: the task sleeps until the future's waker is called
//!                    ready:   switch ───────────► block_on returns
//! ```
//!
//! The future is polled, and dropped, *on the main stack*, with the main stack's thread-local storage.
//! So whatever it does — OCaml's network stack, drivers, timers — always happens in the same
//! place, a thread's stack need only be large enough for the thread's own code, and there are never OCaml
//! frames on a stack that is switched away from. [`on_main`] does the same for a
//! plain function.
//!
//! # What a thread has of its own
//!
//! The [`Host`] gives it a stack with guard pages below, and a block of thread-local storage at its
//! top. It also has two words, for `errno` and a pointer, which a switch preserves, and a name.
//!
//! Mutexes, conditions and joining are built on waiting for a word of memory to change: [`wait`].
//!
//! # Example
//!
//! ```
//! use mirust_executor::{domain, time::Duration};
//! use mirust_fiber::{CannotBlock, block_on};
//!
//! /// What `std::thread::sleep` does in an image: everything else goes on in the meantime.
//! fn sleep_ms(ms: u64) -> Result<(), CannotBlock> {
//!     block_on(domain::sleep(Duration::from_millis(ms)))
//! }
//! ```
#![no_std]

extern crate alloc;

mod block;
mod cannot;
mod clock;
mod foreign;
pub mod host;
mod order;
pub mod stack;
mod switch;
mod thread;
mod turn;
pub mod wait;
mod watch;

pub use block::{block_on, block_on_until, on_main, yield_now};
pub use cannot::CannotBlock;
pub use clock::clock_was_read;
#[cfg(not(feature = "image"))]
pub use foreign::{Foreign, set_foreign};
pub use host::Host;
pub use order::set_seed;
pub use thread::{NoMemory, Start, Stats, Thread, current, set_host, stack_owner, start, stats};
pub use turn::Clock;
pub use watch::set_limit;

/// The examples of the page that a registry shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
