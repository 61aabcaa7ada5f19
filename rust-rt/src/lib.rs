//! The `no_std` runtime below both languages of a Mirust image: a façade for its crates.
//!
//! | crate | here | holds |
//! |---|---|---|
//! | `mirust-executor` | [`executor`], [`poll`], [`domain`], [`platform`](mod@platform), [`shutdown`], [`time`] | tasks, timers, and the only call that blocks |
//! | `mirust-mem` | [`mem`] | page frames, the heap, reservable address space |
//! | `mirust-xen` | [`wire`], [`shared`], [`ring`], [`xen`] | what Xen provides to a domain, from hypercalls to xenstore |
//! | `mirust-fiber` | [`fiber`] | threads with their own stacks, and blocking calls |
//! | `mirust-libc` | `libc` | the C symbols that a program refers to |
//! | `mirust-net` | [`net`] | network devices: netfront, and what all devices have in common |
//! | `mirust-block` | [`block`] | disks: blkfront, and what all disks have in common |
//! | `mirust-files` | [`files`] | read-only files on a disk |
//! | `mirust-boot` | [`boot`], [`diag`] | from the entry point to `mirust_main`; console output and crash reports |
//! | `mirust-unix` | `unix`, `net::tap`, `block::file` | the same services for a Linux process |
//!
//! Dependencies point up this table, never down; cargo enforces that. With the feature `xen` this is the
//! runtime of an image, without it that of a Linux process.
//!
//! # Example
//!
//! ```standalone_crate
//! use mirust_rt::{domain, time::Duration};
//!
//! let answer = domain::block_on(async {
//!     let task = domain::spawn(async {
//!         domain::sleep(Duration::from_millis(2)).await;
//!         42
//!     });
//!     task.await
//! });
//! assert!(matches!(answer, Ok(42)));
//! ```
//!
//! `docs/hundred-lines.md` has a whole image on top of this crate.
#![no_std]

pub use mirust_boot as boot;
pub use mirust_boot::diag;
pub use mirust_executor as executor;
pub use mirust_executor::{domain, platform, poll, shutdown, time};
pub use mirust_fiber as fiber;
pub use mirust_files as files;
#[cfg(feature = "libc")]
pub use mirust_libc as libc;
pub use mirust_mem as mem;
#[cfg(not(feature = "xen"))]
pub use mirust_unix as unix;
pub use mirust_xen as xen;
pub use mirust_xen::{ring, shared, wire};

/// Disks.
pub mod block {
    pub use mirust_block::*;
    #[cfg(not(feature = "xen"))]
    pub use mirust_unix::disk as file;
}

/// Network devices.
pub mod net {
    pub use mirust_net::*;
    #[cfg(not(feature = "xen"))]
    pub use mirust_unix::tap;
}
