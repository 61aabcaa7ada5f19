//! From the loader to `mirust_main`, and the end of the domain.
//!
//! `entry` reaches 64-bit mode; `start` then brings the image up in order: exception handlers,
//! thread-local storage, [`start_info`], the [`memory_map`] and the page frames, the final
//! [`page_tables`], and in `ground` what the image stands on: Xen, or QEMU's bare machine.

mod list;
pub mod memory_map;
pub mod page_tables;
pub mod start_info;

#[cfg(feature = "xen")]
mod bare;
#[cfg(feature = "xen")]
mod clock;
#[cfg(feature = "xen")]
pub mod cpu;
#[cfg(feature = "xen")]
mod descriptors;
#[cfg(feature = "xen")]
mod end;
#[cfg(feature = "xen")]
mod entry;
#[cfg(feature = "xen")]
mod ground;
#[cfg(feature = "xen")]
pub(crate) mod layout;
#[cfg(feature = "xen")]
pub mod paging;
#[cfg(feature = "xen")]
mod qemu;
#[cfg(feature = "xen")]
mod start;
#[cfg(feature = "xen")]
mod tls;

pub use list::{Full, List};

#[cfg(feature = "xen")]
pub use end::{End, crash, exit, set_end};
#[cfg(feature = "xen")]
pub(crate) use start::early_write;
#[cfg(feature = "xen")]
pub use start::{command_line, modules, on_xen};

/// Where the boot stack begins, on which all code but OCaml's runs; it grows downwards from there.
#[cfg(feature = "xen")]
pub fn stack_top() -> usize {
    layout::stack().end as usize
}
