//! The zones of `examples/dns`, and what is asked of them here. The sources are those of the example.

#[path = "../../../examples/dns/src/answer.rs"]
pub mod answer;
#[path = "../../../examples/dns/src/master.rs"]
pub mod master;
#[path = "../../../examples/dns/src/name.rs"]
pub mod name;
#[path = "../../../examples/dns/src/rdata.rs"]
pub mod rdata;
#[path = "../../../examples/dns/src/zone.rs"]
pub mod zone;

#[cfg(test)]
mod answers;
#[cfg(test)]
mod files;
