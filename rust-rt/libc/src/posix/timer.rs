//! `timerfd`: readable when its time has come.

use alloc::boxed::Box;
use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::ffi::c_int;
use core::future::Future;
use core::pin::Pin;
use core::task::Context;

use super::answer::{number, status};
use super::block::{self, NEVER};
use super::events::Events;
use super::object::{Object, downcast};
use super::parts::{Errno, Part, PartMut, Result, room, scatter};
use super::table::{self, O_CLOEXEC, O_NONBLOCK};
use super::watch::Watchers;
use crate::errno::{EAGAIN, EFAULT, EINVAL};
use crate::host;
use crate::layout::Stat;
use crate::timespec::Timespec;

const CLOCK_REALTIME: c_int = 0;
const CLOCK_MONOTONIC: c_int = 1;
const CLOCK_BOOTTIME: c_int = 7;
const TFD_TIMER_ABSTIME: c_int = 1;
const TFD_TIMER_CANCEL_ON_SET: c_int = 2;

/// `struct itimerspec`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Setting {
    interval: Timespec,
    value: Timespec,
}

/// A timer. Times are those of the monotonic clock, in nanoseconds; the wall clock is taken to run as
/// that does from the time of setting on.
struct Timer {
    wall: bool,
    /// When it is next over; `NEVER` when it is not set.
    next: Cell<u64>,
    /// 0: only once.
    interval: Cell<u64>,
    sleep: RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>>,
    watchers: Watchers,
}

impl Timer {
    fn set(&self, next: u64, interval: u64) {
        self.next.set(next);
        self.interval.set(interval);
        self.sleep.replace(None);
        // Somebody may wait for the time that was set before.
        self.watchers.notify(Events::IN);
    }

    /// How often it has been over.
    fn expirations(&self) -> u64 {
        let (now, next) = (block::now(), self.next.get());
        match (now.checked_sub(next), self.interval.get()) {
            (None, _) => 0,
            (Some(_), 0) => 1,
            (Some(late), interval) => late / interval + 1,
        }
    }

    /// Has the executor's timer give notice.
    fn arm(&self) {
        if self.next.get() == NEVER {
            return;
        }
        let waker = self.watchers.waker(Events::IN);
        let mut sleep = self.sleep.borrow_mut();
        let sleep = sleep.get_or_insert_with(|| block::sleep_until(self.next.get()));
        let ended = sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        if ended {
            // It was over between the two looks at the clock.
            self.watchers.notify(Events::IN);
        }
    }

    fn remaining(&self) -> Setting {
        let (now, next, interval) = (block::now(), self.next.get(), self.interval.get());
        let left = match (next, interval) {
            (NEVER, _) => 0,
            (next, 0) => next.saturating_sub(now),
            (next, interval) if next <= now => interval - (now - next) % interval,
            (next, _) => next - now,
        };
        Setting { interval: Timespec::from_ns(interval), value: Timespec::from_ns(left) }
    }
}

impl Object for Timer {
    fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    fn poll(&self, interest: Events) -> Events {
        if !interest.intersects(Events::IN) {
            return Events::NONE;
        }
        if self.expirations() > 0 {
            return Events::IN;
        }
        self.arm();
        Events::NONE
    }

    fn read(&self, parts: &mut [PartMut]) -> Result<usize> {
        if room(parts) < 8 {
            return Err(Errno(EINVAL));
        }
        let times = self.expirations();
        if times == 0 {
            self.arm();
            return Err(Errno(EAGAIN));
        }
        self.next.set(match self.interval.get() {
            0 => NEVER,
            interval => self.next.get() + times * interval,
        });
        self.sleep.replace(None);
        // An edge comes when it is over again, whether or not anybody asks before.
        self.arm();
        scatter(&times.to_ne_bytes(), parts);
        Ok(8)
    }

    fn write(&self, _: &[Part]) -> Result<usize> {
        Err(Errno(EINVAL))
    }

    fn stat(&self) -> Stat {
        Stat::anonymous()
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn timerfd_create(clock: c_int, flags: c_int) -> c_int {
    number(create(clock, flags))
}

fn create(clock: c_int, flags: c_int) -> Result<c_int> {
    let known = matches!(clock, CLOCK_REALTIME | CLOCK_MONOTONIC | CLOCK_BOOTTIME);
    if !known || flags & !(O_NONBLOCK | O_CLOEXEC) != 0 {
        return Err(Errno(EINVAL));
    }
    table::check_room()?;
    let timer = Timer {
        wall: clock == CLOCK_REALTIME,
        next: Cell::new(NEVER),
        interval: Cell::new(0),
        sleep: RefCell::default(),
        watchers: Watchers::new(),
    };
    table::insert_both(Rc::new(timer), flags)
}

fn timer(fd: c_int) -> Result<Rc<Timer>> {
    downcast(&table::get(fd)?.object).ok_or(Errno(EINVAL))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn timerfd_settime(
    fd: c_int,
    flags: c_int,
    new: *const Setting,
    old: *mut Setting,
) -> c_int {
    // SAFETY: NULL, or the new setting is readable by contract.
    let new = unsafe { new.as_ref() };
    let set = new.ok_or(Errno(EFAULT)).and_then(|new| {
        let timer = timer(fd)?;
        let before = timer.remaining();
        let (value, interval) = (new.value.ns(), new.interval.ns());
        let (Some(value), Some(interval)) = (value, interval) else { return Err(Errno(EINVAL)) };
        if flags & !(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) != 0 {
            return Err(Errno(EINVAL));
        }
        let next = match value {
            0 => NEVER,
            value if flags & TFD_TIMER_ABSTIME == 0 => block::after(value),
            value if timer.wall => block::after(value.saturating_sub((host::get().wall_ns)())),
            value => value,
        };
        timer.set(next, interval);
        Ok(before)
    });
    status(set.map(|before| {
        if !old.is_null() {
            // SAFETY: NULL or writable by contract.
            unsafe { *old = before }
        }
    }))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn timerfd_gettime(fd: c_int, current: *mut Setting) -> c_int {
    status(timer(fd).and_then(|timer| {
        if current.is_null() {
            return Err(Errno(EFAULT));
        }
        // SAFETY: writable by contract.
        unsafe { *current = timer.remaining() }
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use super::super::host_tests::same;
    use super::super::{block, block_tests, io};
    use super::*;

    fn setting(value: u64, interval: u64) -> Setting {
        Setting { value: Timespec::from_ns(value), interval: Timespec::from_ns(interval) }
    }

    fn set(fd: c_int, flags: c_int, new: Setting) -> c_int {
        // SAFETY: both pointers are as `timerfd_settime` wants them.
        unsafe { timerfd_settime(fd, flags, &raw const new, core::ptr::null_mut()) }
    }

    #[test]
    fn the_layout_is_the_hosts() {
        assert_eq!(size_of::<Setting>(), size_of::<host_libc::itimerspec>());
    }

    #[test]
    fn it_is_read_as_often_as_it_was_over() {
        block_tests::give_busy();
        let fd = create(CLOCK_MONOTONIC, O_NONBLOCK).unwrap();
        let mut word = [0; 8];
        assert_eq!(io::read_into(fd, &mut word), Err(Errno(EAGAIN)));
        assert_eq!(set(fd, 0, setting(1_000_000, 1_000_000)), 0);
        let end = block::after(5_500_000);
        while block::now() < end {}
        assert_eq!(io::read_into(fd, &mut word), Ok(8));
        assert!((5..50).contains(&u64::from_ne_bytes(word)), "{word:?}");
        assert_eq!(set(fd, 0, setting(0, 0)), 0);
        assert_eq!(io::read_into(fd, &mut word), Err(Errno(EAGAIN)));
        assert_eq!(timer(fd).unwrap().remaining().value.ns(), Some(0));
    }

    #[test]
    fn a_blocking_read_ends_when_it_is_over() {
        block_tests::give_busy();
        let fd = create(CLOCK_MONOTONIC, 0).unwrap();
        let deadline = block::after(2_000_000);
        assert_eq!(set(fd, TFD_TIMER_ABSTIME, setting(deadline, 0)), 0);
        let mut word = [0; 8];
        assert_eq!(io::read_into(fd, &mut word), Ok(8));
        assert_eq!((u64::from_ne_bytes(word), block::now() >= deadline), (1, true));
    }

    #[test]
    fn errors_are_those_of_the_kernel() {
        same(|c| (c.timerfd(99, 0), c.timerfd(1, 1)));
        let fd = create(CLOCK_REALTIME, 0).unwrap();
        let mut bad = setting(1, 0);
        bad.value.nanoseconds = 1_000_000_000;
        assert_eq!((set(fd, 0, bad), crate::errno::get()), (-1, EINVAL));
        assert_eq!((set(fd, 4, setting(1, 0)), crate::errno::get()), (-1, EINVAL));
        assert_eq!((set(1, 0, setting(1, 0)), crate::errno::get()), (-1, EINVAL));
    }
}
