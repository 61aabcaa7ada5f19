//! An executor for one thread, with a poll that is the only place where that thread blocks.
//!
//! [`poll::Domain`] owns tasks and timers, and drives them on a [`platform::Platform`]: the clock, the events and the
//! one blocking call of whatever the program runs on. The functions of [`domain`] do the same for the one domain of an
//! image. Nothing here depends on Xen or Linux.
//!
//! # The life of a task
//!
//! A task is a future that the executor owns. It is polled when it is spawned and then only when
//! it has been woken; ready tasks wait in one queue, first come, first served.
//!
//! ```text
//!                     spawn
//!                       │ (1)
//!                       ▼          (2) its turn
//!   ┌────────────► ┌────────┐ ───────────────────► ┌─────────┐
//!   │  (4) woken   │ QUEUED │                      │ RUNNING │
//!   │              └────────┘ ◄─────────────────── └─────────┘
//!   │                   │      (3) pending, woken     │   │
//!   │                   │          meanwhile          │   │ (6) ready
//!   │   (7) its turn,   │                             │   │     or panicked
//!   │       aborted     │      (5) pending            │   │
//! ┌──────┐              │   ┌─────────────────────────┘   │
//! │ IDLE │ ◄────────────┼───┘                             │
//! └──────┘              ▼                                 │
//!                   ┌──────┐                              │
//!                   │ DONE │ ◄────────────────────────────┘
//!                   └──────┘
//! ```
//!
//! 1. `spawn` queues the task; it never polls inside the caller.
//! 2. A turn takes tasks from the head of the queue, at most as many as were queued when the turn
//!    began and at most the budget.
//! 3. A task woken while it runs goes to the tail of the queue and runs in the *next* turn: it cannot keep the turn
//!    going, so timers, events and OCaml have their turns.
//! 4. Any number of wakes queue a task once. A wake may come from another thread (on Unix).
//! 5. A task that is pending and was not woken costs nothing until it is.
//! 6. The result goes to the [`JoinHandle`]; the future is dropped first. A panic is caught by the
//!    [`Guard`] and goes there too.
//! 7. [`JoinHandle::abort`] marks and queues the task; when its turn comes the future is dropped
//!    instead of polled. A task that is aborted while it runs goes through (3) or, if it ends in
//!    that very poll, (6).
//!
//! After DONE the task's id is never used again, so a waker that is kept longer does nothing.
//!
//! No future is ever polled or dropped while the executor holds a borrow of its own tables: futures
//! may spawn, abort, wake and set timers at any time, in their `Drop` as well.
//!
//! # What the compiler refuses
//!
//! A task outlives the function that spawns it, so it may not borrow from there:
//!
//! ```compile_fail,E0597
//! let name = String::from("netif");
//! let borrowed = &name;
//! mirust_executor::domain::spawn(async move { borrowed.len() });
//! ```
//!
//! Tasks need not be `Send`, so nothing that leads to them is:
//!
//! ```compile_fail,E0277
//! let handle = mirust_executor::domain::spawn(async { 1 });
//! std::thread::spawn(move || handle.abort());
//! ```
//!
//! ```compile_fail,E0277
//! let sleep = mirust_executor::domain::sleep(mirust_executor::time::Duration::ZERO);
//! std::thread::spawn(move || drop(sleep));
//! ```
//!
//! ```compile_fail,E0277
//! let domain = mirust_executor::domain::get();
//! std::thread::spawn(move || domain.stats());
//! ```
//!
//! A handle is waited for once:
//!
//! ```compile_fail,E0382
//! # async fn f() {
//! let handle = mirust_executor::domain::spawn(async { 1 });
//! let first = handle.await;
//! let second = handle.await;
//! # }
//! ```
#![no_std]

extern crate alloc;

mod deadlines;
pub mod domain;
mod executor;
mod inbox;
pub mod owned;
pub mod platform;
pub mod poll;
mod ready;
pub mod resize;
pub mod shutdown;
mod slab;
pub mod suspend;
mod task;
pub mod time;
mod timers;
mod wakers;

pub use executor::{Guard, Turn, yield_now};
pub use inbox::Notifier;
pub use task::{JoinError, JoinHandle};
pub use timers::{Elapsed, Interval, Sleep};
pub use wakers::add_waker;

/// The examples of the page that a registry shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
