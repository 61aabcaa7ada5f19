//! File descriptors that tasks can wait for.

use host_libc as libc;

use core::future::poll_fn;
use core::task::Poll;

use crate::reactor::{Direction, reactor};
use crate::sys::{self, Descriptor, Errno, RawFd};

/// An open, non-blocking file descriptor: a socket, pipe, tap device or the like.
///
/// Closed when it is dropped. Several tasks may wait for it at the same time. Belongs to the
/// domain's thread.
#[derive(Debug)]
pub struct Fd {
    token: u64,
    descriptor: Descriptor,
}

impl Fd {
    /// Takes over a descriptor and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// `EPERM` for files that cannot be waited for, such as regular ones; `EBADF`; `EEXIST` for
    /// one that is already registered. The descriptor is then closed.
    ///
    /// # Safety
    ///
    /// `fd` must be open, and must not be closed elsewhere.
    pub unsafe fn from_raw_fd(fd: RawFd) -> Result<Fd, Errno> {
        let descriptor = Descriptor::from_raw(fd);
        sys::set_nonblocking(fd)?;
        let token = reactor().register(fd)?;
        Ok(Fd { token, descriptor })
    }

    /// The descriptor's number, still owned by this.
    pub fn as_raw_fd(&self) -> RawFd {
        self.descriptor.raw()
    }

    /// Waits until reading would not block: there are bytes, the end, or an error.
    pub async fn readable(&self) -> Result<(), Errno> {
        self.ready(Direction::Read, libc::POLLIN).await
    }

    /// Waits until writing would not block: there is room, or an error.
    pub async fn writable(&self) -> Result<(), Errno> {
        self.ready(Direction::Write, libc::POLLOUT).await
    }

    /// Reads what there is, at most `buf` full; waits if there is nothing. 0 means the end.
    pub async fn read(&self, buf: &mut [u8]) -> Result<usize, Errno> {
        loop {
            match sys::read(self.as_raw_fd(), buf) {
                Err(Errno::AGAIN) => self.readable().await?,
                Err(Errno::INTR) => (),
                result => return result,
            }
        }
    }

    /// Writes what there is room for, at least one byte unless `buf` is empty; waits if there is no
    /// room.
    pub async fn write(&self, buf: &[u8]) -> Result<usize, Errno> {
        loop {
            match sys::write(self.as_raw_fd(), buf) {
                Err(Errno::AGAIN) => self.writable().await?,
                Err(Errno::INTR) => (),
                result => return result,
            }
        }
    }

    async fn ready(&self, direction: Direction, events: i16) -> Result<(), Errno> {
        poll_fn(|cx| {
            // The kernel is asked each time: so there is no cached state that a spurious wake-up could find outdated.
            if sys::ppoll_now(self.as_raw_fd(), events)? {
                return Poll::Ready(Ok(()));
            }
            reactor().wake_when_ready(self.token, direction, cx.waker())?;
            Poll::Pending
        })
        .await
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        reactor().deregister(self.token);
    }
}
