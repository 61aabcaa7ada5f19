//! Threads for code that blocks, on an executor that never does.
//!
//! An image has one virtual CPU, one loop, and one place that sleeps. Programs written for an operating
//! system block all over the place. This crate lets them: a blocking call names a future to wait
//! for, and [`block_on`] waits for it in the way that the stack it was called on allows.
//!
//! | called on | what happens |
//! |---|---|
//! | the main stack | the domain is polled from here, OCaml's turn included, until the future is ready |
//! | a thread | the thread is switched away from; a task of the executor polls the future, and switches back when it is ready |
//! | a task of the executor, or an event handler | [`CannotBlock`]: somebody further down that very stack is in the middle of a poll |
//!
//! # A thread
//!
//! A thread is a task of the executor and a [stack] of its own. The task's turn is the thread's: it
//! switches to that stack, and the thread runs until it blocks or ends. Nothing preempts it.
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
//! So whatever it does — OCaml's network stack, drivers, timers — happens where it always
//! happens, a thread's stack need only be large enough for the thread's own code, and no frame of
//! OCaml is ever on a stack that somebody switches away from. [`on_main`] does the same for a
//! plain function.
//!
//! # What a thread has of its own
//!
//! The [`Host`] gives it a stack with guard pages below, and a block of thread-local storage at its
//! top. Besides that there are two words, for `errno` and a pointer, which a switch keeps, and a name.
//!
//! Waiting for a word of memory to change is what mutexes, conditions and joining are made of: [`wait`].
#![no_std]

extern crate alloc;

mod block;
mod cannot;
mod foreign;
pub mod host;
mod order;
pub mod stack;
mod switch;
mod thread;
pub mod wait;
mod watch;

pub use block::{block_on, block_on_until, on_main, yield_now};
pub use cannot::CannotBlock;
#[cfg(not(feature = "image"))]
pub use foreign::{Foreign, set_foreign};
pub use host::Host;
pub use order::set_seed;
pub use thread::{NoMemory, Start, Stats, Thread, current, set_host, stack_owner, start, stats};
pub use watch::set_limit;

/// The examples of the page that a registry shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
