//! From the loader to `mirust_main`, and the end of the domain.

#[cfg(feature = "xen")]
pub mod cpu;
#[cfg(feature = "xen")]
mod entry;
#[cfg(feature = "xen")]
mod qemu;
#[cfg(feature = "xen")]
mod start;

#[cfg(feature = "xen")]
pub(crate) use qemu::serial_write as early_write;
#[cfg(feature = "xen")]
pub use start::exit;
