//! The `no_std` runtime below both languages of a Mirust image.
//!
//! From the bottom up: [`wire`] describes bytes that a peer sees and imports nothing; [`shared`] is
//! the one room that touches memory a peer can write; [`ring`] moves requests through such memory;
//! [`mem`] owns the page frames, the heap and address space; [`executor`] and [`poll`] run Rust
//! tasks and the domain's single blocking call against a [`platform::Platform`]; `xen` and `unix`
//! implement that trait; `boot` wires everything together.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod boot;
pub mod diag;
pub mod domain;
pub mod executor;
#[cfg(feature = "libc")]
pub mod libc;
pub mod mem;
pub mod net;
pub mod platform;
pub mod poll;
pub mod ring;
pub mod shared;
pub mod shutdown;
pub mod time;
#[cfg(not(feature = "xen"))]
pub mod unix;
pub mod wire;
pub mod xen;

#[cfg(test)]
mod testing;
