//! Xen, from the hypercalls up to the drivers of what every domain has: event channels, time, grant
//! tables, console and xenstore.
//!
//! [`hypervisor`] is the seam: above it nothing but safe calls and shared pages, so that every driver
//! runs in tests against a Xen that is only pretended. Boot calls [`init`] and [`spawn_drivers`];
//! drivers of devices start from [`store()`], [`events()`] and [`grants()`].

pub(crate) mod abi;
pub mod clock;
pub mod console;
pub mod events;
pub mod gntmap;
pub mod gnttab;
mod ground;
#[cfg(feature = "xen")]
pub mod hypercall;
pub mod hypervisor;
pub mod page;
pub mod platform;
pub mod sched;
pub mod second_console;
pub mod shared_info;
pub mod shutdown;
pub mod xenstore;

#[cfg(test)]
pub(crate) mod fake;

pub use ground::{InitError, console, end, events, grants, init, present, spawn_drivers, store};
