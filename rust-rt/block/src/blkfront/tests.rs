//! The device against a backend in memory.

use super::{backend::Asked, common::FlushBy, rig::*, *};
use crate::{Buffer, Discard, Disk, Error};
use alloc::{boxed::Box, vec};
use core::task::Poll;
use mirust_xen::{
    fake::{World, world},
    testing::{Random, poll_once},
    wire::{GrantRef, blkif::*},
};

mod errors;
mod flushes;
mod lies;
mod transfers;
