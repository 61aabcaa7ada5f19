//! A descriptor with a standing interest, for a device that is read at each turn of the loop.

use host_libc as libc;

use alloc::rc::Rc;
use core::cell::Cell;

use crate::reactor::reactor;
use crate::readiness::Readiness;
use crate::sys::{self, Descriptor, Errno, RawFd};

/// An open, non-blocking descriptor that is watched for as long as it lives, unlike an [`Fd`](crate::Fd), which
/// is watched while a task waits for it: nothing has to be asked of the kernel again after each event.
///
/// The interest is level-triggered, so an event that is not acted on comes back at once, and for ever. A caller that
/// cannot act now has to [`want`](Watch::want) less.
pub(crate) struct Watch {
    token: u64,
    wanted: Cell<i32>,
    descriptor: Descriptor,
}

impl Watch {
    /// Takes over a descriptor, makes it non-blocking, and has `told` called with what it is ready for. Nothing is
    /// wanted yet.
    ///
    /// # Errors
    ///
    /// As [`Fd::from_raw_fd`](crate::Fd::from_raw_fd).
    pub(crate) fn new(
        descriptor: Descriptor,
        told: impl Fn(Readiness) + 'static,
    ) -> Result<Self, Errno> {
        let fd = descriptor.raw();
        sys::set_nonblocking(fd)?;
        let token = reactor().register_hook(fd, Rc::new(told))?;
        Ok(Watch { token, wanted: Cell::new(0), descriptor })
    }

    pub(crate) fn as_raw_fd(&self) -> RawFd {
        self.descriptor.raw()
    }

    /// Sets what is reported from now on, which includes being ready already. Costs a system call only if it differs
    /// from before.
    pub(crate) fn want(&self, readable: bool, writable: bool) -> Result<(), Errno> {
        let mut events = 0;
        if readable {
            events |= libc::EPOLLIN | libc::EPOLLRDHUP;
        }
        if writable {
            events |= libc::EPOLLOUT;
        }
        if self.wanted.get() != events {
            reactor().set_interest(self.descriptor.raw(), events, self.token)?;
            self.wanted.set(events);
        }
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        reactor().deregister(self.token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use core::cell::RefCell;
    use mirust_executor::platform::Platform;
    use mirust_executor::time::Instant;

    /// Waits and dispatches, as the domain does.
    fn turn() {
        reactor().wait(Instant::ZERO);
        reactor().dispatch();
    }

    #[test]
    fn tells_again_until_it_is_wanted_no_more() {
        let told = Rc::new(RefCell::new(Vec::new()));
        let watch = {
            let told = Rc::clone(&told);
            let counter = sys::eventfd().expect("a descriptor");
            Watch::new(counter, move |ready| told.borrow_mut().push(ready))
                .expect("it can be watched")
        };
        let readable = Readiness { readable: true, writable: false };
        let writable = Readiness { readable: false, writable: true };
        turn();
        assert_eq!(told.take(), [], "nothing is wanted yet");
        watch.want(true, true).expect("a change");
        turn();
        assert_eq!(told.take(), [writable]);
        watch.want(true, false).expect("a change");
        turn();
        assert_eq!(told.take(), []);
        sys::write(watch.as_raw_fd(), &1u64.to_ne_bytes()).expect("room");
        turn();
        turn();
        assert_eq!(told.take(), [readable, readable]);
        watch.want(false, false).expect("a change");
        turn();
        assert_eq!(told.take(), []);
        watch.want(true, false).expect("a change");
        reactor().wait(Instant::ZERO);
        drop(watch);
        reactor().dispatch();
        assert_eq!(told.take(), [], "what came before the end is told to nobody");
    }
}
