//! `signalfd`: readable when there is a signal that was sent while it was blocked.

use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ffi::c_int;

use super::answer::number;
use super::events::Events;
use super::local::local;
use super::memory;
use super::object::{Object, downcast};
use super::parts::{Errno, Part, PartMut, Result, room, scatter};
use super::table::{self, O_CLOEXEC, O_NONBLOCK};
use super::watch::Watchers;
use crate::errno::{EAGAIN, EFAULT, EINVAL};
use crate::layout::Stat;
use crate::{deliver, process, stack_signals};

/// Bytes of a `struct signalfd_siginfo`.
const RECORD: usize = 128;

struct Signals {
    /// Which ones, a bit each from signal 1 on.
    mask: Cell<u64>,
    watchers: Watchers,
}

local! {
    /// Those that are open.
    static OPEN: RefCell<Vec<Weak<Signals>>> = RefCell::new(Vec::new());
}

/// Tells those who may read this signal.
fn tell(bit: u64) {
    for at in 0.. {
        let Some(signals) = OPEN.with(|open| open.borrow().get(at).cloned()) else { break };
        if let Some(signals) = signals.upgrade().filter(|s| s.mask.get() & bit != 0) {
            signals.watchers.notify(Events::IN);
        }
    }
}

impl Object for Signals {
    fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    fn poll(&self, interest: Events) -> Events {
        Events::IN.when(stack_signals::main().pending() & self.mask.get() != 0) & interest
    }

    fn read(&self, parts: &mut [PartMut]) -> Result<usize> {
        let most = (room(parts) / RECORD).min(64);
        if most == 0 {
            return Err(Errno(EINVAL));
        }
        let mut records = Vec::new();
        memory::reserve(&mut records, most * RECORD)?;
        while records.len() < most * RECORD {
            let Some((bit, by_kill)) = stack_signals::main().take(self.mask.get()) else { break };
            let signal = bit.trailing_zeros() as c_int + 1;
            let start = records.len();
            records.resize(start + RECORD, 0);
            let code = deliver::code(by_kill);
            let words = [signal, 0, code, process::getpid()].map(c_int::to_ne_bytes);
            records[start..][..16].copy_from_slice(words.as_flattened());
        }
        match scatter(&records, parts) {
            0 => Err(Errno(EAGAIN)),
            n => Ok(n),
        }
    }

    fn write(&self, _: &[Part]) -> Result<usize> {
        Err(Errno(EINVAL))
    }

    fn stat(&self) -> Stat {
        Stat::anonymous()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        OPEN.with(|open| open.borrow_mut().retain(|signals| signals.strong_count() > 0));
    }
}

/// Those signals arrive here that are sent to the program, or to its main stack. A new mask for a descriptor counts from
/// now on.
#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn signalfd(fd: c_int, mask: *const u64, flags: c_int) -> c_int {
    if mask.is_null() {
        return number(Err(Errno(EFAULT)));
    }
    // SAFETY: a set of signals, of which the first word is in use.
    number(create(fd, unsafe { mask.read_unaligned() } & !deliver::UNBLOCKABLE, flags))
}

fn create(fd: c_int, mask: u64, flags: c_int) -> Result<c_int> {
    if flags & !(O_NONBLOCK | O_CLOEXEC) != 0 {
        return Err(Errno(EINVAL));
    }
    if fd != -1 {
        let signals: Rc<Signals> = downcast(&table::get(fd)?.object).ok_or(Errno(EINVAL))?;
        signals.mask.set(mask);
        signals.watchers.notify(Events::IN);
        return Ok(fd);
    }
    table::check_room()?;
    let signals = Rc::new(Signals { mask: Cell::new(mask), watchers: Watchers::new() });
    OPEN.with(|open| {
        let mut open = open.borrow_mut();
        memory::reserve(&mut open, 1)?;
        open.push(Rc::downgrade(&signals));
        Ok(())
    })?;
    deliver::tell(tell);
    table::insert_both(signals, flags)
}

#[cfg(test)]
mod tests {
    use super::super::{block_tests, io};
    use super::*;
    use crate::{errno, signal};

    fn read(fd: c_int) -> Result<(usize, host_libc::signalfd_siginfo)> {
        let mut record = [0u8; 3 * RECORD];
        let n = io::read_into(fd, &mut record)?;
        // SAFETY: the record is one.
        Ok((n, unsafe { record.as_ptr().cast::<host_libc::signalfd_siginfo>().read_unaligned() }))
    }

    #[test]
    fn a_blocked_signal_is_read() {
        const USR1: c_int = 10;
        const USR2: c_int = 12;
        block_tests::give_busy();
        let bit = |signal: c_int| 1u64 << (signal - 1);
        let blocked = [bit(USR1) | bit(USR2), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        // SAFETY: a set of 1024 bits; nobody else here uses these signals.
        unsafe {
            let fd = signalfd(-1, blocked.as_ptr(), O_NONBLOCK);
            assert_eq!(read(fd).err(), Some(Errno(EAGAIN)));
            signal::sigprocmask(0, blocked.as_ptr().cast(), core::ptr::null_mut());
            assert_eq!((signal::kill(0, USR2), signal::raise(USR1)), (0, 0));
            let (n, record) = read(fd).unwrap();
            assert_eq!((n, record.ssi_signo, record.ssi_code), (2 * RECORD, 10, -6));
            assert_eq!(record.ssi_pid, process::getpid() as u32);
            assert_eq!(read(fd).err(), Some(Errno(EAGAIN)));
            // Another mask for it.
            let one = bit(USR2);
            assert_eq!((signalfd(fd, &raw const one, 0), signal::kill(0, USR2)), (fd, 0));
            let (n, record) = read(fd).unwrap();
            assert_eq!((n, record.ssi_signo, record.ssi_code), (RECORD, 12, 0));
            signal::sigprocmask(1, blocked.as_ptr().cast(), core::ptr::null_mut());
            assert_eq!((signalfd(fd, &raw const one, 1), errno::get()), (-1, EINVAL));
            assert_eq!((signalfd(1, &raw const one, 0), errno::get()), (-1, EINVAL));
            table::close(fd).unwrap();
        }
        assert!(OPEN.with(|open| open.borrow().is_empty()));
    }
}
