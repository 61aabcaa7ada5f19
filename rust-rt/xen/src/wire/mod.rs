//! Bytes that another domain, Xen or a daemon sees, as parsers and emitters over plain slices.
//!
//! This layer imports nothing and touches no shared memory: what lies in such memory is copied out
//! by [`shared`](crate::shared) first. Nothing here panics on bytes that a peer chose.
#![forbid(unsafe_code)]

mod id;

pub mod blkif;
pub mod bytering;
pub mod netif;
pub mod xenstore;

pub use id::{DomId, Gfn, GrantRef, Port};
