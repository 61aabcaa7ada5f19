//! `poll`.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::ffi::{c_int, c_short, c_ulong};
use core::task::Poll;

use super::answer::number;
use super::block::{self, NEVER};
use super::events::Events;
use super::memory;
use super::parts::{Errno, Result};
use super::table::{self, Description};
use crate::deliver::Masked;
use crate::errno::{EFAULT, EINVAL};
use crate::layout::PollFd;
use crate::stack_signals::Ends;
use crate::timespec::Timespec;

/// With the time limit 0 it lets the rest of the domain have a turn, as `epoll_wait` does.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn poll(list: *mut PollFd, count: c_ulong, timeout: c_int) -> c_int {
    let limit = u64::try_from(timeout).ok().map(|ms| ms * 1_000_000);
    // SAFETY: the contract is the same.
    number(unsafe { wait(list, count, limit, told) })
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn ppoll(
    list: *mut PollFd,
    count: c_ulong,
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
    number(unsafe { wait(list, count, limit, told) })
}

/// What an entry is to be told: an end and an error also unasked.
fn told(entry: &PollFd) -> Events {
    Events(entry.events as u16 as u32) | Events::ALWAYS
}

/// Waits for one of the events that an entry is to be told.
///
/// # Safety
///
/// `count` entries at `list` are writable, and nobody else accesses them.
pub(super) unsafe fn wait(
    list: *mut PollFd,
    count: c_ulong,
    limit: Option<u64>,
    told: fn(&PollFd) -> Events,
) -> Result<c_int> {
    let count = usize::try_from(count).ok().filter(|&n| n <= table::limit());
    let count = count.ok_or(Errno(EINVAL))?;
    let list = match (count, list.is_null()) {
        (0, _) => &mut [],
        (_, true) => return Err(Errno(EFAULT)),
        // SAFETY: as the caller says.
        _ => unsafe { core::slice::from_raw_parts_mut(list, count) },
    };
    // The descriptions stay what they are, also if another thread closes a descriptor meanwhile.
    let mut open: Vec<Option<Rc<Description>>> = Vec::new();
    memory::reserve(&mut open, count)?;
    open.extend(list.iter().map(|entry| table::get(entry.fd).ok()));
    if limit == Some(0) {
        block::give_way();
    }
    let ready = block::on_main(|| look(list, &open, told));
    if ready > 0 || limit == Some(0) {
        if limit != Some(0) {
            block::owe();
        }
        return Ok(ready);
    }
    let mut tickets = Vec::new();
    memory::reserve(&mut tickets, count)?;
    let found = block::until(limit.map_or(NEVER, block::after), Some(Ends::Always), |cx| {
        tickets.clear();
        for (entry, description) in list.iter().zip(&open) {
            let Some(description) = description else { continue };
            let watchers = description.object.watchers();
            tickets.push(watchers.wake_at(asked(entry), cx.waker()));
        }
        match look(list, &open, told) {
            0 => Poll::Pending,
            ready => Poll::Ready(ready),
        }
    });
    Ok(found?.unwrap_or(0))
}

/// The events of interest of an entry.
fn asked(entry: &PollFd) -> Events {
    Events(entry.events as u16 as u32).plain()
}

/// Fills in the list. Returns how many are ready.
fn look(
    list: &mut [PollFd],
    open: &[Option<Rc<Description>>],
    told: fn(&PollFd) -> Events,
) -> c_int {
    let mut ready = 0;
    for (entry, description) in list.iter_mut().zip(open) {
        let found = match description {
            _ if entry.fd < 0 => Events::NONE,
            None => Events::NVAL,
            Some(description) => {
                description.object.poll(asked(entry)).under_all_names() & told(entry)
            }
        };
        entry.revents = found.0 as c_short;
        ready += c_int::from(!found.is_empty());
    }
    ready
}

#[cfg(test)]
mod tests {
    use super::super::block_tests as testing;
    use super::super::eventfd::eventfd;
    use super::super::host_tests::same;
    use super::super::io;
    use super::*;
    use alloc::vec;

    #[test]
    fn every_entry_is_answered_as_the_kernel_does() {
        same(|c| {
            let [r, w] = c.pipe(0);
            let mut all = [(r, 1), (w, 4), (-1, 5), (99, 5), (r, 0x40), (w, 0x104)];
            let mut log = vec![c.poll_list(&mut all)];
            c.write(w, b"x");
            log.push(c.poll_list(&mut [(r, 0x41), (w, 1)]));
            c.close(w);
            log.push(c.poll_list(&mut [(r, 0), (r, 1)]));
            c.close(r);
            log
        });
    }

    #[test]
    fn it_waits_for_the_first_of_several_or_for_its_time() {
        testing::give_busy();
        let (a, b) = (eventfd(0, 0), eventfd(0, 0));
        let mut list = [a, b].map(|fd| PollFd { fd, events: 1, revents: 9 });
        // SAFETY: the list has two entries, here and below.
        assert_eq!(unsafe { poll(list.as_mut_ptr(), 2, 1) }, 0);
        testing::meanwhile(move || assert_eq!(io::write_from(b, &1u64.to_ne_bytes()), Ok(8)));
        // SAFETY: as above.
        assert_eq!(unsafe { poll(list.as_mut_ptr(), 2, -1) }, 1);
        assert_eq!(list.each_ref().map(|entry| entry.revents), [0, 1]);
        assert_eq!(table::get(a).unwrap().object.watchers().count(), (0, 0));
        // SAFETY: as above.
        assert_eq!(unsafe { poll(list.as_mut_ptr(), 1 << 40, 0) }, -1);
    }
}
