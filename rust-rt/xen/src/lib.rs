//! Xen, from hypercalls up to the drivers for what every domain has: event channels, time, grant tables,
//! console and xenstore.
//!
//! [`hypervisor`] is the interface to Xen: above it there are only safe calls and shared pages, so that every
//! driver runs in tests against a fake Xen. Boot calls [`init`] and [`spawn_drivers`];
//! drivers of devices start from [`store()`], [`events()`] and [`grants()`].
//!
//! Below the drivers, from the bottom up: [`wire`] describes bytes that a peer sees, imports nothing and
//! forbids `unsafe`; [`shared`] is the only module that touches memory a peer can write; [`ring`] moves
//! requests through such memory.
//!
//! # Example
//!
//! ```
//! use mirust_xen::{store, xenstore::Error};
//!
//! /// What the toolstack calls this domain; an error where there is no Xen.
//! async fn name() -> Result<String, Error> {
//!     store()?.read_text("name").await
//! }
//! ```
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "fake"))]
extern crate std;

mod abi;
pub mod balloon;
pub mod clock;
pub mod console;
pub mod cpuid;
mod drivers;
pub mod early;
pub mod events;
pub mod gntmap;
pub mod gnttab;
#[cfg(feature = "hypercalls")]
pub mod hypercall;
pub mod hypervisor;
pub mod page;
pub mod platform;
pub mod ring;
pub mod sched;
pub mod second_console;
pub mod shared;
pub mod shared_info;
pub mod shutdown;
pub mod suspend;
mod told;
pub mod wire;
pub mod xenbus;
pub mod xenstore;

#[cfg(any(test, feature = "fake"))]
pub mod fake;
#[cfg(any(test, feature = "fake"))]
pub mod testing;

pub use drivers::{
    InitError, console, end, events, grants, init, present, spawn_drivers, store, write_console,
};

/// The examples of the page that a registry shows.
#[cfg(all(doctest, feature = "fake"))]
#[doc = include_str!("../README.md")]
struct Readme;
