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
//!
//! # Example
//!
//! ```
//! use mirust_block::{Disk, Error};
//!
//! /// How often this disk has been counted, which is in its first byte; for good once `flush` has returned.
//! async fn count(disk: &Disk) -> Result<u8, Error> {
//!     let info = disk.ready().await?;
//!     let mut sector = vec![0; info.sector_size as usize];
//!     disk.read_at(0, &mut sector).await?;
//!     sector[0] = sector[0].wrapping_add(1);
//!     disk.write_at(0, &sector).await?;
//!     disk.flush().await?;
//!     Ok(sector[0])
//! }
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
