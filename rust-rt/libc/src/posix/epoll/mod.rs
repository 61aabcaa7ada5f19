//! `epoll`.

mod entry;
mod set;

use alloc::rc::Rc;
use core::ffi::c_int;
use core::mem::MaybeUninit;
use core::task::Poll;

use super::answer::{number, status};
use super::block::{self, NEVER};
use super::events::Events;
use super::object::{Object, downcast};
use super::parts::{Errno, Result};
use super::table::{self, O_CLOEXEC, O_RDWR};
use crate::deliver::Masked;
use crate::errno::{EFAULT, EINVAL, EPERM};
use crate::stack_signals::Ends;
use crate::timespec::Timespec;
pub(super) use set::Event;
use set::Set;

const EPOLL_CTL_ADD: c_int = 1;
const EPOLL_CTL_DEL: c_int = 2;
const EPOLL_CTL_MOD: c_int = 3;

/// The hint is ignored, but has to be positive.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn epoll_create(hint: c_int) -> c_int {
    if hint <= 0 { number(Err(Errno(EINVAL))) } else { epoll_create1(0) }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn epoll_create1(flags: c_int) -> c_int {
    number(match flags & !O_CLOEXEC {
        0 => table::check_room().and_then(|()| table::insert(Set::new(), flags | O_RDWR)),
        _ => Err(Errno(EINVAL)),
    })
}

fn set(fd: c_int) -> Result<Rc<Set>> {
    downcast(&table::get(fd)?.object).ok_or(Errno(EINVAL))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn epoll_ctl(
    epoll: c_int,
    operation: c_int,
    fd: c_int,
    event: *const Event,
) -> c_int {
    if event.is_null() && operation != EPOLL_CTL_DEL {
        return status(Err(Errno(EFAULT)));
    }
    // SAFETY: an event is readable there by contract, but for a deletion.
    let event = (operation != EPOLL_CTL_DEL).then(|| unsafe { event.read_unaligned() });
    status(control(epoll, operation, fd, event))
}

fn control(epoll: c_int, operation: c_int, fd: c_int, event: Option<Event>) -> Result {
    let outer = table::get(epoll)?;
    let description = table::get(fd)?;
    if !description.object.can_wait() {
        return Err(Errno(EPERM));
    }
    let set = downcast::<Set>(&outer.object).ok_or(Errno(EINVAL))?;
    if Rc::ptr_eq(&outer, &description) {
        return Err(Errno(EINVAL));
    }
    match (operation, event) {
        (EPOLL_CTL_ADD, Some(event)) => set.add(fd, &description, event),
        (EPOLL_CTL_MOD, Some(event)) => set.modify(fd, &description, event),
        (EPOLL_CTL_DEL, _) => set.delete(fd, &description),
        _ => Err(Errno(EINVAL)),
    }
}

/// With a timeout of 0 it first gives the rest of the domain a turn, unless that can wait: a program that is always
/// busy would otherwise never hear from the network.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn epoll_wait(
    epoll: c_int,
    events: *mut Event,
    count: c_int,
    timeout: c_int,
) -> c_int {
    let limit = u64::try_from(timeout).ok().map(|ms| ms * 1_000_000);
    // SAFETY: the contract is the same.
    number(unsafe { wait(epoll, events, count, limit) })
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn epoll_pwait(
    epoll: c_int,
    events: *mut Event,
    count: c_int,
    timeout: c_int,
    signals: *const u64,
) -> c_int {
    // SAFETY: NULL or a set, by contract.
    let _masked = unsafe { Masked::by(signals) };
    // SAFETY: the contract is the same.
    unsafe { epoll_wait(epoll, events, count, timeout) }
}

/// [`epoll_pwait`] with nanoseconds.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn epoll_pwait2(
    epoll: c_int,
    events: *mut Event,
    count: c_int,
    timeout: *const Timespec,
    signals: *const u64,
) -> c_int {
    // SAFETY: NULL or readable by contract.
    let Some(limit) = (unsafe { Timespec::limit(timeout) }) else {
        return number(Err(Errno(EINVAL)));
    };
    // SAFETY: NULL or a set, by contract.
    let _masked = unsafe { Masked::by(signals) };
    // SAFETY: the contract is the same.
    number(unsafe { wait(epoll, events, count, limit) })
}

/// # Safety
///
/// `count` events at `events` are writable.
unsafe fn wait(
    epoll: c_int,
    events: *mut Event,
    count: c_int,
    limit: Option<u64>,
) -> Result<c_int> {
    let count = usize::try_from(count).ok().filter(|&n| n > 0).ok_or(Errno(EINVAL))?;
    if events.is_null() {
        return Err(Errno(EFAULT));
    }
    let set = set(epoll)?;
    // SAFETY: as the caller says; the type wants no alignment.
    let events =
        unsafe { core::slice::from_raw_parts_mut(events.cast::<MaybeUninit<Event>>(), count) };
    if limit == Some(0) {
        block::give_way();
    }
    let found = block::on_main(|| set.collect(events));
    if found > 0 || limit == Some(0) {
        if limit != Some(0) {
            block::owe();
        }
        return Ok(found as c_int);
    }
    let deadline = limit.map_or(NEVER, block::after);
    let mut ticket = None;
    let found = block::until(deadline, Some(Ends::Always), |cx| {
        ticket = Some(set.watchers().wake_at(Events::IN, cx.waker()));
        match set.collect(events) {
            0 => Poll::Pending,
            n => Poll::Ready(n),
        }
    });
    Ok(found?.unwrap_or(0) as c_int)
}

#[cfg(test)]
mod tests;
