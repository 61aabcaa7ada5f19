//! The Unix platform: the domain as a Linux process, for development and tests.
//!
//! SIGTERM and SIGINT request a shutdown, as `xl shutdown` does; a second one ends the process at once.
//!
//! A program that links this crate has it as its [platform](mirust_executor::platform!):
//!
//! ```standalone_crate
//! use mirust_executor::{domain, time::Duration};
//! # use mirust_unix as _;
//!
//! let answer = domain::block_on(async {
//!     let worker = domain::spawn(async {
//!         domain::sleep(Duration::from_millis(2)).await;
//!         42
//!     });
//!     domain::timeout(Duration::from_secs(1), worker).await
//! });
//! assert!(matches!(answer, Ok(Ok(42))));
//! ```
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod clock;
pub mod disk;
mod fd;
mod lookahead;
mod overflow;
mod process;
mod reactor;
mod readiness;
mod sys;
pub mod tap;
mod uring;
mod watch;

pub use fd::Fd;
pub use overflow::report_stack_overflow;
pub use process::{allocated, command_line, console_write, error_write, exit, random};
pub use reactor::platform;
pub use sys::{Errno, RawFd};

/// The name of this platform.
pub const NAME: &str = "unix";

mirust_executor::platform!(reactor::platform());

/// The examples of the page that a registry shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
