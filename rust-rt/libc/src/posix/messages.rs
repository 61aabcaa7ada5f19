//! Several messages in one call, for programs that send many datagrams, such as QUIC.

use core::ffi::{c_int, c_uint};

use super::answer::number;
use super::block::{after, now};
use super::parts::{Errno, Result};
use super::socket::{with, with_on_main};
use super::transfer::{MSG_DONTWAIT, Message, recvmsg, sendmsg};
use crate::errno::{self, EAGAIN, EDEADLK, EFAULT, EINVAL};
use crate::timespec::Timespec;

const MSG_WAITFORONE: c_int = 0x10000;
/// Messages of one call at most (`UIO_MAXIOV`).
const MOST: c_uint = 1024;

/// `struct mmsghdr`.
#[repr(C)]
pub(super) struct Counted {
    message: Message,
    length: c_uint,
}

const _: () = assert!(size_of::<Counted>() == 64);

/// The list is one, and for a socket.
fn check(fd: c_int, list: *const Counted, count: c_uint) -> Result {
    with(fd, |_, _| Ok(()))?;
    if list.is_null() && count > 0 { Err(Errno(EFAULT)) } else { Ok(()) }
}

/// Calls `one` for each message until it fails, or it is `enough` after one of them: how many there were, and the
/// error.
fn each(
    count: c_uint,
    mut one: impl FnMut(usize) -> isize,
    enough: impl Fn() -> bool,
) -> (usize, Option<c_int>) {
    let count = count.min(MOST) as usize;
    for at in 0..count {
        if one(at) < 0 {
            return (at, Some(errno::get()));
        }
        if enough() {
            return (at + 1, None);
        }
    }
    (count, None)
}

/// The time limit is looked at between messages only, and what is left of it is stored, as on Linux: a call that waits
/// for one that does not come waits on.
#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn recvmmsg(
    fd: c_int,
    list: *mut Counted,
    count: c_uint,
    flags: c_int,
    limit: *mut Timespec,
) -> c_int {
    // SAFETY: NULL or a time, by contract.
    let most = unsafe { Timespec::limit(limit) }.ok_or(Errno(EINVAL));
    number(most.and_then(|most| {
        check(fd, list, count)?;
        let end = most.map(|ns| if ns == 0 { 0 } else { after(ns) });
        let one = |at| {
            let once = if at > 0 && flags & MSG_WAITFORONE != 0 { MSG_DONTWAIT } else { 0 };
            // SAFETY: as many messages as the caller says, and each is one by contract.
            unsafe {
                let one = list.add(at);
                let n = recvmsg(fd, &raw mut (*one).message, flags & !MSG_WAITFORONE | once);
                if let Ok(n) = c_uint::try_from(n) {
                    (*one).length = n;
                }
                n
            }
        };
        let (n, error) = each(count, one, || end.is_some_and(|end| now() >= end));
        match error {
            Some(error) if n == 0 => return Err(Errno(error)),
            // That nothing is there, or that nothing may wait, is no error of the socket.
            None | Some(EAGAIN | EDEADLK) => {}
            Some(error) => with_on_main(fd, |socket| {
                socket.put_error(error);
                Ok(())
            })?,
        }
        if let Some(end) = end.filter(|_| n > 0) {
            // SAFETY: writable by contract.
            unsafe { *limit = Timespec::from_ns(end.saturating_sub(now())) };
        }
        Ok(n as c_int)
    }))
}

/// An error behind the first message is not told, as on Linux.
#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn sendmmsg(
    fd: c_int,
    list: *mut Counted,
    count: c_uint,
    flags: c_int,
) -> c_int {
    number(check(fd, list, count).and_then(|()| {
        let one = |at| {
            // SAFETY: as above.
            unsafe {
                let one = list.add(at);
                let n = sendmsg(fd, &raw const (*one).message, flags);
                if let Ok(n) = c_uint::try_from(n) {
                    (*one).length = n;
                }
                n
            }
        };
        match each(count, one, || false) {
            (0, Some(error)) => Err(Errno(error)),
            (n, _) => Ok(n as c_int),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::super::parts::{Part, PartMut};
    use super::super::{io, socket};
    use super::*;
    use core::ffi::c_void;

    fn counted(parts: *mut c_void) -> Counted {
        Counted { message: Message::of(parts, 1), length: 99 }
    }

    #[test]
    fn several_at_once_until_there_are_no_more() {
        let mut fds = [0; 2];
        let nonblocking = super::super::O_NONBLOCK;
        // SAFETY: two ints; then messages of one part each, which live as long as the calls.
        unsafe {
            assert_eq!(socket::socketpair(1, 2 | nonblocking, 0, &raw mut fds), 0);
            let mut texts = [Part::new(b"one"), Part::new(b"three")];
            let mut list = texts.each_mut().map(|part| counted(core::ptr::from_mut(part).cast()));
            assert_eq!(sendmmsg(fds[0], list.as_mut_ptr(), 2, 0), 2);
            assert_eq!(list.each_ref().map(|one| one.length), [3, 5]);
            let mut buffers = [[0u8; 8]; 3];
            let mut parts = buffers.each_mut().map(|buf| PartMut::new(buf));
            let mut list = parts.each_mut().map(|part| counted(core::ptr::from_mut(part).cast()));
            let none = core::ptr::null_mut();
            assert_eq!(recvmmsg(fds[1], list.as_mut_ptr(), 3, MSG_WAITFORONE, none), 2);
            assert_eq!((list[0].length, list[1].length), (3, 5));
            assert_eq!(recvmmsg(fds[1], list.as_mut_ptr(), 3, 0, none), -1);
            assert_eq!(errno::get(), errno::EAGAIN);
            assert_eq!((&buffers[0][..3], &buffers[1][..5]), (&b"one"[..], &b"three"[..]));
        }
        assert_eq!((io::close(fds[0]), io::close(fds[1])), (0, 0));
    }
}
