//! From the loader to `mirust_main`, and the end of the domain.
//!
//! [`entry`](self) reaches 64-bit mode; `start` then brings the image up in order: descriptor tables,
//! [`start_info`], the [`memory_map`], the final [`page_tables`], the heap, thread-local storage.

mod list;
pub mod memory_map;
pub mod page_tables;
pub mod start_info;

#[cfg(feature = "xen")]
pub mod cpu;
#[cfg(feature = "xen")]
mod entry;
#[cfg(feature = "xen")]
mod qemu;
#[cfg(feature = "xen")]
mod start;

pub use list::{Full, List};

#[cfg(feature = "xen")]
pub(crate) use qemu::serial_write as early_write;
#[cfg(feature = "xen")]
pub use start::exit;
