//! `select`, as programs used to wait for descriptors: a list of them for [`poll`](super::poll).

use alloc::vec::Vec;
use core::ffi::{c_int, c_short};

use super::answer::number;
use super::block;
use super::events::Events;
use super::memory;
use super::parts::{Errno, Result};
use super::poll;
use super::table;
use crate::deliver::Masked;
use crate::errno::{EBADF, EINVAL};
use crate::layout::PollFd;
use crate::timespec::Timespec;

/// `struct timeval`.
#[repr(C)]
pub(super) struct Time {
    seconds: i64,
    microseconds: i64,
}

/// `fd_set`, as the bits of however many descriptors the caller says.
type Set = *mut u64;

/// What each set asks for: whether something can be read, written, or is out of the ordinary. An end and an error count
/// for reading, an error for writing.
const KINDS: [(Events, Events); 3] = [
    (Events::IN, Events(Events::IN.0 | Events::HUP.0 | Events::ERR.0)),
    (Events::OUT, Events(Events::OUT.0 | Events::ERR.0)),
    (Events::PRI, Events::PRI),
];

/// What is found of an entry in a set, if it is one of those that ask.
fn met_by(entry: &PollFd, (wanted, met): (Events, Events)) -> Events {
    met.when(entry.events & wanted.0 as c_short != 0)
}

/// An end or an error is always told to who polls, but is in no set of those that ask for other things: nobody waits
/// for it.
fn told(entry: &PollFd) -> Events {
    KINDS.iter().fold(Events::NONE, |all, &kind| all | met_by(entry, kind))
}

/// Whether an entry of the list is found in the set that asks for this.
fn is_in(entry: &PollFd, kind: (Events, Events)) -> bool {
    Events(entry.revents as u16 as u32).intersects(met_by(entry, kind))
}

/// Afterwards `limit` is what is left of the time, as on Linux.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn select(
    count: c_int,
    read: Set,
    write: Set,
    other: Set,
    limit: *mut Time,
) -> c_int {
    // SAFETY: NULL, or readable and writable by contract.
    let mut limit = unsafe { limit.as_mut() };
    let ns = match limit.as_ref().map(|time| (time.seconds, time.microseconds)) {
        None => None,
        Some((0.., 0..)) => limit.as_ref().map(|time| {
            let us = time.seconds.unsigned_abs().saturating_mul(1_000_000);
            us.saturating_add(time.microseconds.unsigned_abs()).saturating_mul(1000)
        }),
        Some(_) => return number(Err(Errno(EINVAL))),
    };
    let start = block::now();
    // SAFETY: the contract is the same.
    let found = unsafe { wait(count, [read, write, other], ns) };
    if let (Some(limit), Some(ns)) = (&mut limit, ns) {
        let left = ns.saturating_sub(block::now() - start) / 1000;
        limit.seconds = (left / 1_000_000) as i64;
        limit.microseconds = (left % 1_000_000) as i64;
    }
    number(found)
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn pselect(
    count: c_int,
    read: Set,
    write: Set,
    other: Set,
    limit: *const Timespec,
    signals: *const u64,
) -> c_int {
    // SAFETY: NULL or readable by contract.
    let Some(limit) = (unsafe { Timespec::limit(limit) }) else {
        return number(Err(Errno(EINVAL)));
    };
    // SAFETY: NULL or a set, by contract.
    let _masked = unsafe { Masked::by(signals) };
    // SAFETY: the contract is the same.
    number(unsafe { wait(count, [read, write, other], limit) })
}

/// # Safety
///
/// Each set is NULL, or has `count` bits that are readable and writable, in whole words.
unsafe fn wait(count: c_int, sets: [Set; 3], limit: Option<u64>) -> Result<c_int> {
    let count = usize::try_from(count).map_err(|_| Errno(EINVAL))?.min(table::limit());
    let words = count.div_ceil(64);
    // SAFETY: as the caller says.
    let word = |set: Set, i: usize| if set.is_null() { 0 } else { unsafe { set.add(i).read() } };
    let mut list = Vec::new();
    for fd in 0..count {
        let asked = |set: &Set| word(*set, fd / 64) >> (fd % 64) & 1 != 0;
        let mut events = Events::NONE;
        for (set, (wanted, _)) in sets.iter().zip(KINDS) {
            events = if asked(set) { events | wanted } else { events };
        }
        if sets.iter().any(asked) {
            table::get(fd as c_int).map_err(|_| Errno(EBADF))?;
            memory::reserve(&mut list, 1)?;
            list.push(PollFd { fd: fd as c_int, events: events.0 as c_short, revents: 0 });
        }
    }
    // SAFETY: the list is ours.
    unsafe { poll::wait(list.as_mut_ptr(), list.len() as _, limit, told)? };
    let mut bits = 0;
    for (set, kind) in sets.into_iter().zip(KINDS).filter(|(set, _)| !set.is_null()) {
        // SAFETY: as the caller says.
        unsafe { set.write_bytes(0, words) };
        for entry in list.iter().filter(|entry| is_in(entry, kind)) {
            // SAFETY: as the caller says.
            unsafe { *set.add(entry.fd as usize / 64) |= 1 << (entry.fd % 64) };
            bits += 1;
        }
    }
    Ok(bits)
}

#[cfg(test)]
mod tests;
