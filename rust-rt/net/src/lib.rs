//! Network devices: what they all have in common ([`device`]), Xen's ([`netfront`]), a
//! [`loopback`] device, and the [`checksum`] that they complete if the hardware or backend does not.
//!
//! A device belongs to the domain's thread and has one user, the network stack. Everything that the
//! stack calls is synchronous and cheap; the device's own task waits for events and connects,
//! and raises the poll's `FOREIGN` signal when the stack should look. Work is batched per turn:
//! frames are received in one go, and what was sent is announced once, by `flush`, at the turn's end.
//!
//! ```text
//!              stack (OCaml)                           the other end
//!   receive ◄──────────────── frames ◄───┐ rx ring ◄── fills pages of the pool
//!   reserve, send ──────────► heads ─────┤
//!                             payload ───┘ tx ring ──► reads heads, and payload where it lies
//!   completed ◄─────────────  "payload is yours again"
//! ```
//!
//! # Example
//!
//! ```
//! use mirust_net::checksum::Sum;
//!
//! // The example of RFC 1071, section 3, in two pieces.
//! let mut sum = Sum::default();
//! sum.add(&[0x00, 0x01, 0xf2]);
//! sum.add(&[0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
//! assert_eq!(sum.finish(), [0x22, 0x0d]);
//! ```
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "fake"))]
extern crate std;

pub mod checksum;
pub mod device;
pub mod loopback;
pub mod netfront;
pub mod pool;

pub use device::{
    Counters, Device, Features, Fragment, Info, Link, Mac, News, Place, Received, RxChecksum,
    RxFrame, SendError, Slab, TxChecksum, TxFrame,
};

/// The examples of the page that a registry shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
