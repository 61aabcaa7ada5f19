//! Xen.

pub(crate) mod abi;
