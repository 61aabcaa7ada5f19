//! `eventfd`: a counter that is readable when it is not zero.

use alloc::rc::Rc;
use core::cell::Cell;
use core::ffi::{c_int, c_uint};

use super::answer::{gather, number};
use super::events::Events;
use super::object::Object;
use super::parts::{Errno, Part, PartMut, Result, room, scatter, total};
use super::table::{self, O_CLOEXEC, O_NONBLOCK};
use super::watch::Watchers;
use crate::errno::{EAGAIN, EINVAL};
use crate::layout::Stat;

const EFD_SEMAPHORE: c_int = 1;
/// The counter can have one less than this.
const MAX: u64 = u64::MAX;

/// The counter.
pub(super) struct Counter {
    value: Cell<u64>,
    /// A read takes one, and not all.
    semaphore: bool,
    watchers: Watchers,
}

impl Counter {
    pub(super) fn new(value: u64, semaphore: bool) -> Rc<Self> {
        Rc::new(Counter { value: Cell::new(value), semaphore, watchers: Watchers::new() })
    }
}

impl Object for Counter {
    fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    fn poll(&self, interest: Events) -> Events {
        let value = self.value.get();
        let ready = Events::IN.when(value > 0) | Events::OUT.when(value < MAX - 1);
        ready & (interest | Events::ALWAYS)
    }

    fn read(&self, parts: &mut [PartMut]) -> Result<usize> {
        if room(parts) < 8 {
            return Err(Errno(EINVAL));
        }
        let value = self.value.get();
        if value == 0 {
            return Err(Errno(EAGAIN));
        }
        let taken = if self.semaphore { 1 } else { value };
        self.value.set(value - taken);
        scatter(&taken.to_ne_bytes(), parts);
        self.watchers.notify(Events::OUT);
        Ok(8)
    }

    fn write(&self, parts: &[Part]) -> Result<usize> {
        if total(parts) < 8 {
            return Err(Errno(EINVAL));
        }
        let added = u64::from_ne_bytes(gather(parts));
        if added == MAX {
            return Err(Errno(EINVAL));
        }
        let sum = self.value.get().checked_add(added).filter(|&sum| sum < MAX);
        self.value.set(sum.ok_or(Errno(EAGAIN))?);
        // Of every write, also if it was readable before: an edge.
        self.watchers.notify(Events::IN);
        Ok(8)
    }

    fn stat(&self) -> Stat {
        Stat::anonymous()
    }
}

/// Only EFD_SEMAPHORE, EFD_NONBLOCK and EFD_CLOEXEC are known: EINVAL.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn eventfd(value: c_uint, flags: c_int) -> c_int {
    number(create(value, flags))
}

fn create(value: c_uint, flags: c_int) -> Result<c_int> {
    if flags & !(EFD_SEMAPHORE | O_NONBLOCK | O_CLOEXEC) != 0 {
        return Err(Errno(EINVAL));
    }
    table::check_room()?;
    table::insert_both(Counter::new(value.into(), flags & EFD_SEMAPHORE != 0), flags)
}

#[cfg(test)]
mod tests {
    use super::super::host_tests::same;
    use super::super::io;
    use super::*;

    #[test]
    fn counts_as_the_kernel_does() {
        for flags in [0, EFD_SEMAPHORE] {
            same(|c| {
                let fd = c.eventfd(3, O_NONBLOCK | flags);
                let mut log = alloc::vec![];
                let mut word = [0u8; 8];
                for step in 0..5 {
                    log.push((c.poll(fd, 7), c.read(fd, &mut word), u64::from_ne_bytes(word)));
                    if step == 3 {
                        log.push((0, c.write(fd, &(MAX - 1).to_ne_bytes()), 0));
                        log.push((c.poll(fd, 7), c.write(fd, &1u64.to_ne_bytes()), 0));
                    }
                }
                log.push((0, c.write(fd, &MAX.to_ne_bytes()), 0));
                log.push((0, c.read(fd, &mut word[..7]), c.write(fd, b"short") as u64));
                c.close(fd);
                log
            });
        }
    }

    #[test]
    fn unknown_flags_are_refused() {
        same(|c| c.eventfd(0, 2));
        assert_eq!(io::read_into(99, &mut []), Err(Errno(crate::errno::EBADF)));
    }
}
