//! The program as a whole, with a toolstack that is made of files.
#![allow(missing_docs)]

mod datagrams;
mod failures;
mod many;
mod rig;
mod service;
mod sleep;
mod wake;
