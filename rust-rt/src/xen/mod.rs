//! Xen, from the hypercalls up to the drivers of what every domain has: event channels, time, grant
//! tables, console and xenstore.

pub(crate) mod abi;
pub mod clock;
pub mod events;
pub mod gntmap;
pub mod gnttab;
#[cfg(feature = "xen")]
pub mod hypercall;
pub mod hypervisor;
pub mod page;
pub mod platform;
pub mod sched;
pub mod shared_info;
pub mod xenstore;

#[cfg(test)]
mod fake;
