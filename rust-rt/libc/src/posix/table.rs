//! The descriptor table: numbers, and what they refer to.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ffi::c_int;

use super::local::local;
use super::memory;
use super::object::Object;
use super::parts::{Errno, Result};
use super::watch;
use crate::errno::{EBADF, EINVAL, EMFILE};

/// `O_NONBLOCK`, `EFD_NONBLOCK`, `SOCK_NONBLOCK`, …
pub const O_NONBLOCK: c_int = 0o4000;
/// `O_CLOEXEC`, `EFD_CLOEXEC`, `SOCK_CLOEXEC`, …
pub const O_CLOEXEC: c_int = 0o2_000_000;
pub(super) const O_WRONLY: c_int = 1;
pub(super) const O_RDWR: c_int = 2;
pub(super) const O_ACCMODE: c_int = 3;
pub(super) const O_APPEND: c_int = 0o2000;

/// An open file description, shared by descriptors that were duplicated from each other.
pub struct Description {
    /// What is open.
    pub object: Rc<dyn Object>,
    /// `O_NONBLOCK`, `O_APPEND` and how it may be accessed.
    flags: Cell<c_int>,
}

impl Description {
    /// Whether calls fail with EAGAIN instead of waiting.
    pub fn is_nonblocking(&self) -> bool {
        self.flags.get() & O_NONBLOCK != 0
    }

    /// The flags, as `fcntl` with F_GETFL tells them.
    pub(super) fn flags(&self) -> c_int {
        self.flags.get()
    }

    /// Sets those flags that can be changed.
    pub(super) fn set_flags(&self, flags: c_int) {
        const CHANGE: c_int = O_NONBLOCK | O_APPEND;
        self.flags.set(self.flags.get() & !CHANGE | flags & CHANGE);
        self.object.set_flags(self.flags.get());
    }

    pub(super) fn may_read(&self) -> bool {
        self.flags.get() & O_ACCMODE != O_WRONLY
    }

    pub(super) fn may_write(&self) -> bool {
        self.flags.get() & O_ACCMODE != 0
    }
}

#[derive(Clone)]
struct Slot {
    description: Rc<Description>,
    close_on_exec: bool,
}

struct Table {
    slots: Vec<Option<Slot>>,
    /// No lower number is free.
    lowest: usize,
    /// Numbers below are given.
    limit: usize,
    /// 0, 1 and 2 are there.
    started: bool,
}

local! {
    static TABLE: RefCell<Table> =
        RefCell::new(Table { slots: Vec::new(), lowest: 0, limit: 0, started: false });
}

fn table<R>(f: impl FnOnce(&mut Table) -> R) -> R {
    TABLE.with(|table| {
        if !table.borrow().started {
            let console = super::console::descriptions();
            let mut table = table.borrow_mut();
            table.started = true;
            table.limit = memory::most_descriptors();
            for object in console {
                let _ = table.insert_from(0, object, O_RDWR);
            }
        }
        f(&mut table.borrow_mut())
    })
}

impl Table {
    fn insert_from(&mut self, from: usize, object: Rc<dyn Object>, flags: c_int) -> Result<c_int> {
        let description = Rc::new(Description {
            object,
            flags: Cell::new(flags & (O_NONBLOCK | O_APPEND | O_ACCMODE)),
        });
        self.place(from, Slot { description, close_on_exec: flags & O_CLOEXEC != 0 })
    }

    /// Assigns it the lowest free number that is not below `from`.
    fn place(&mut self, from: usize, slot: Slot) -> Result<c_int> {
        let from = from.max(self.lowest);
        let at = self.free_from(from);
        if at >= self.limit {
            return Err(Errno(EMFILE));
        }
        if at == self.lowest {
            self.lowest = at + 1;
        }
        self.put(at, slot)?;
        Ok(at as c_int)
    }

    /// The lowest free number that is not below `from`.
    fn free_from(&self, from: usize) -> usize {
        let free = self.slots.iter().skip(from).position(Option::is_none).map(|at| from + at);
        free.unwrap_or(self.slots.len().max(from))
    }

    fn put(&mut self, at: usize, slot: Slot) -> Result<Option<Slot>> {
        if at >= self.slots.len() {
            let more = at + 1 - self.slots.len();
            memory::reserve(&mut self.slots, more)?;
            self.slots.resize(at + 1, None);
        }
        Ok(self.slots[at].replace(slot))
    }

    fn slot(&mut self, fd: c_int) -> Result<&mut Option<Slot>> {
        let slot = usize::try_from(fd).ok().and_then(|at| self.slots.get_mut(at));
        slot.filter(|slot| slot.is_some()).ok_or(Errno(EBADF))
    }
}

/// Assigns the lowest free number to an object. `flags` are those of `open`: `O_NONBLOCK`, `O_CLOEXEC`, and
/// how it may be accessed.
///
/// # Errors
///
/// EMFILE.
pub fn insert(object: Rc<dyn Object>, flags: c_int) -> Result<c_int> {
    table(|t| t.insert_from(0, object, flags))
}

/// Whether [`insert`] has a number to assign, and there is memory for an object: for calls that make one, or must not do
/// anything without a number.
///
/// # Errors
///
/// EMFILE, ENOMEM.
pub(super) fn check_room() -> Result {
    let numbers = table(|t| {
        let at = t.free_from(t.lowest);
        if at >= t.limit {
            return Err(Errno(EMFILE));
        }
        let more = (at + 1).saturating_sub(t.slots.len());
        memory::reserve(&mut t.slots, more)?;
        Ok(at.max(t.slots.len()) + 1)
    })?;
    watch::reserve(numbers)?;
    memory::need(memory::THING)
}

/// [`insert`] for an object that is both read and written.
///
/// # Errors
///
/// EMFILE.
pub(super) fn insert_both(object: Rc<dyn Object>, flags: c_int) -> Result<c_int> {
    insert(object, flags & (O_NONBLOCK | O_CLOEXEC) | O_RDWR)
}

/// What a number refers to.
///
/// # Errors
///
/// EBADF.
pub fn get(fd: c_int) -> Result<Rc<Description>> {
    table(|t| t.slot(fd).map(|slot| slot.as_ref().map(|s| Rc::clone(&s.description))))?
        .ok_or(Errno(EBADF))
}

/// Frees a number. The description is dropped if no other number refers to it.
///
/// # Errors
///
/// EBADF.
pub fn close(fd: c_int) -> Result {
    let slot = table(|t| {
        let slot = t.slot(fd)?.take();
        t.lowest = t.lowest.min(fd as usize);
        while t.slots.last().is_some_and(Option::is_none) {
            t.slots.pop();
        }
        Ok(slot)
    })?;
    // Dropped with the table free: an object may close others.
    drop(slot);
    Ok(())
}

/// Another number, not below `from`, for the description of `fd`.
///
/// # Errors
///
/// EBADF, EMFILE; EINVAL if `from` is no number that a descriptor can have.
pub(super) fn duplicate(fd: c_int, from: c_int, close_on_exec: bool) -> Result<c_int> {
    table(|t| {
        let slot = t.slot(fd)?.clone();
        let from = usize::try_from(from).ok().filter(|&from| from < t.limit);
        let from = from.ok_or(Errno(EINVAL))?;
        let slot = slot.map(|slot| Slot { close_on_exec, ..slot });
        slot.map_or(Err(Errno(EBADF)), |slot| t.place(from, slot))
    })
}

/// Makes `to` refer to the description of `fd`; its previous one is closed.
///
/// # Errors
///
/// EBADF, also if no descriptor can have the number `to`.
pub(super) fn duplicate_to(fd: c_int, to: c_int, close_on_exec: bool) -> Result<c_int> {
    let old = table(|t| {
        let slot = t.slot(fd)?.clone();
        let at = usize::try_from(to).ok().filter(|&at| at < t.limit).ok_or(Errno(EBADF))?;
        if fd == to {
            return Ok(None);
        }
        let slot = slot.map(|slot| Slot { close_on_exec, ..slot });
        let old = slot.map_or(Err(Errno(EBADF)), |slot| t.put(at, slot))?;
        while t.slots.get(t.lowest).is_some_and(Option::is_some) {
            t.lowest += 1;
        }
        Ok(old)
    })?;
    drop(old);
    Ok(to)
}

/// Whether the descriptor would be closed by `exec`, which an image does not have.
pub(super) fn close_on_exec(fd: c_int) -> Result<bool> {
    table(|t| Ok(t.slot(fd)?.as_ref().is_some_and(|slot| slot.close_on_exec)))
}

pub(super) fn set_close_on_exec(fd: c_int, close_on_exec: bool) -> Result {
    table(|t| {
        if let Some(slot) = t.slot(fd)? {
            slot.close_on_exec = close_on_exec;
        }
        Ok(())
    })
}

/// Numbers below this can be given.
pub(super) fn limit() -> usize {
    table(|t| t.limit)
}

/// Descriptors that are open.
pub fn count() -> usize {
    table(|t| t.slots.iter().flatten().count())
}

#[cfg(test)]
mod tests {
    use super::super::eventfd::Counter;
    use super::*;

    fn new() -> Rc<dyn Object> {
        Counter::new(0, false)
    }

    #[test]
    fn the_lowest_free_number_is_given() {
        assert_eq!(count(), 3);
        let fds: Vec<c_int> = (0..4).map(|_| insert_both(new(), 0).unwrap()).collect();
        assert_eq!(fds, [3, 4, 5, 6]);
        assert_eq!((close(4), close(5), close(5)), (Ok(()), Ok(()), Err(Errno(EBADF))));
        assert_eq!(insert_both(new(), 0), Ok(4));
        assert_eq!(duplicate(3, 0, false), Ok(5));
        assert_eq!(duplicate(3, 20, true), Ok(20));
        assert_eq!(insert_both(new(), 0), Ok(7));
        assert_eq!((close(0), insert_both(new(), 0)), (Ok(()), Ok(0)));
    }

    #[test]
    fn duplicates_share_the_description_and_not_the_flag_for_exec() {
        let fd = insert_both(new(), O_CLOEXEC).unwrap();
        let other = duplicate(fd, 0, false).unwrap();
        assert_eq!((close_on_exec(fd), close_on_exec(other)), (Ok(true), Ok(false)));
        get(fd).unwrap().set_flags(O_NONBLOCK);
        assert!(get(other).unwrap().is_nonblocking());
        let object = Rc::downgrade(&get(fd).unwrap().object);
        close(fd).unwrap();
        assert!(object.upgrade().is_some());
        close(other).unwrap();
        assert!(object.upgrade().is_none());
    }

    #[test]
    fn a_duplicate_replaces_what_had_its_number() {
        let (a, b) = (insert_both(new(), 0).unwrap(), insert_both(new(), 0).unwrap());
        let replaced = Rc::downgrade(&get(b).unwrap().object);
        assert_eq!((duplicate_to(a, b, false), replaced.upgrade().is_none()), (Ok(b), true));
        assert_eq!((duplicate_to(a, a, true), close_on_exec(a)), (Ok(a), Ok(false)));
        assert_eq!(duplicate_to(a, 9, false), Ok(9));
        assert_eq!(insert_both(new(), 0), Ok(5));
        assert_eq!(duplicate_to(a, -1, false), Err(Errno(EBADF)));
        assert_eq!(duplicate_to(77, a, false), Err(Errno(EBADF)));
        assert_eq!(duplicate(a, limit() as c_int, false), Err(Errno(EINVAL)));
    }

    #[test]
    fn there_are_as_many_as_memory_bears() {
        let limit = limit();
        let mut given = 0;
        let end = loop {
            match insert_both(new(), 0) {
                Ok(_) => given += 1,
                Err(error) => break error,
            }
        };
        assert_eq!((end, given), (Errno(EMFILE), limit - 3));
        for fd in 3..limit as c_int {
            close(fd).unwrap();
        }
        assert_eq!(count(), 3);
    }
}
