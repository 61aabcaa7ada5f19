//! From the loader to `mirust_main`, and the end of the domain.
//!
//! `entry` reaches 64-bit mode; `start` then brings the image up in order: exception handlers, thread-local storage,
//! [`start_info`], the [`memory_map`] and the page frames, the final [`page_tables`], and, in `platform`, Xen or QEMU's
//! bare machine.
//!
//! The crate is linked into images only, which supply `mirust_main`. `docs/hundred-lines.md` has a complete one.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod console;
pub mod diag;
pub mod entropy;
mod list;
pub mod log;
pub mod memory_map;
pub mod page_tables;
#[cfg_attr(not(feature = "image"), allow(dead_code))]
mod rtc;
pub mod start_info;

#[cfg(feature = "image")]
mod bare;
#[cfg(feature = "image")]
mod clock;
#[cfg(feature = "image")]
pub mod cpu;
#[cfg(feature = "image")]
mod descriptors;
#[cfg(feature = "image")]
mod early;
#[cfg(feature = "image")]
mod end;
#[cfg(feature = "image")]
mod entry;
#[cfg(feature = "image")]
mod layout;
#[cfg(feature = "image")]
pub mod paging;
#[cfg(feature = "image")]
mod platform;
#[cfg(feature = "image")]
mod qemu;
#[cfg(feature = "image")]
mod start;
#[cfg(all(feature = "image", feature = "posix"))]
mod system_call;
#[cfg(all(feature = "image", feature = "libc"))]
mod threads;
#[cfg(feature = "image")]
mod tls;

pub use list::{Full, List};

#[cfg(feature = "image")]
pub use early::on_xen;
#[cfg(feature = "image")]
pub use end::{End, crash, exit, set_end};
#[cfg(feature = "image")]
pub use start::{command_line, modules};

/// Where the boot stack begins, on which all code but OCaml's runs; it grows downwards from there.
#[cfg(feature = "image")]
pub fn stack_top() -> usize {
    layout::stack().end as usize
}

/// The examples of the page that a registry shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
