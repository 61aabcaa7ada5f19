//! Those who keep what persists, and when they are asked to commit.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use super::super::local::local;
use super::super::memory;
use super::super::parts::{Errno, Result};
use super::node::Keeper;
use super::temporary;
use crate::errno::{EDEADLK, ENOMEM};

/// [`commit`](Keeper::commit), for what persists; nothing else can become more durable.
pub(super) fn commit(keeper: Option<&Rc<dyn Keeper>>) -> Result {
    keeper.map_or(Ok(()), |keeper| keeper.commit())
}

local! {
    static ALL: RefCell<Vec<Rc<dyn Keeper>>> = const { RefCell::new(Vec::new()) };
}

local! {
    static LAST_DEVICE: Cell<u64> = const { Cell::new(temporary::DEVICE) };
}

/// A number of a device that no other has.
pub(super) fn next_device() -> u64 {
    LAST_DEVICE.with(|last| {
        last.set(last.get() + 1);
        last.get()
    })
}

/// From now on this one is asked too when all are to commit, at the program's end as well.
pub(super) fn add(keeper: Rc<dyn Keeper>) {
    ALL.with(|all| all.borrow_mut().push(keeper));
    memory::evict_by(evict);
    crate::process::at_the_end(|| {
        match commit_all() {
            Err(Errno(EDEADLK)) => log::error!(
                "the last changes of files are not stored: where the program ends, nothing can wait"
            ),
            Err(Errno(ENOMEM)) => {
                log::error!(
                    "the last changes of files are not stored: there is no memory for that"
                );
            }
            // Other errors are in the log.
            _ => {}
        }
    });
}

/// Has some pages give up their memory that are stored as they are; true if there were any. Wherever somebody allocates
/// memory, in the middle of a change too.
pub(super) fn evict() -> bool {
    ALL.with(|all| all.try_borrow().is_ok_and(|all| all.iter().any(|keeper| keeper.evict())))
}

/// Makes what has changed in all files that persist survive a crash. Waits.
///
/// # Errors
///
/// The first one, after all were asked; see [`mount_store`](super::mount_store).
pub fn commit_all() -> Result {
    let all = ALL.with(|all| all.borrow().clone());
    let mut result = Ok(());
    for keeper in all {
        result = result.and(keeper.commit());
    }
    result
}
