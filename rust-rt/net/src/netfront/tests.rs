//! The device against a backend in memory.

use super::{backend::*, rig::*, *};
use crate::{Place, RxChecksum, TxChecksum};
use alloc::vec::Vec;
use mirust_mem::PAGE_SIZE;
use mirust_xen::wire::{GrantRef, netif::*};

mod faults;
mod rx;
mod tx;
