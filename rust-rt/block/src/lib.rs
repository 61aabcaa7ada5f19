//! Disks: what they all have in common ([`device`]), Xen's ([`blkfront`]), and futures over any of
//! them ([`Disk`]).
//!
//! A device belongs to the domain's thread. Requests are submitted with their memory, queued, and served
//! when the device's task runs, in the same turn of the poll; a callback reports the end of each. Whether a
//! caller's memory is copied depends on its kind: a [`Buffer`] never is.
//!
//! ```text
//!   Disk (Rust), mirust.block (OCaml)                    the other end
//!     read, write, flush ──► engine ──► requests ──► ring ──► reads and writes pages where they lie
//!     future, promise   ◄──  done   ◄── answers  ◄────┘
//! ```
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "fake"))]
extern crate std;

pub mod blkfront;
mod buffer;
pub mod device;
mod disk;
pub mod engine;

pub use buffer::Buffer;
pub use device::{
    Counters, Device, Discard, Done, Error, Fragment, Info, Io, Op, SECTOR, Shared, State,
};
pub use disk::Disk;
