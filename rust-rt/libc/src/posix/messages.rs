//! Several messages in one call, for programs that send many datagrams, such as QUIC.

use core::ffi::{c_int, c_uint, c_void};

use super::answer::number;
use super::parts::{Errno, Result};
use super::socket::{Message, recvmsg, sendmsg};
use crate::errno;

const MSG_DONTWAIT: c_int = 0x40;
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

/// Calls `one` for each until it fails: how many there were, or the error of the first.
fn each(count: c_uint, mut one: impl FnMut(usize) -> isize) -> Result<c_int> {
    for at in 0..count.min(MOST) as usize {
        if one(at) < 0 {
            // The error comes again with the next call, as there.
            return if at == 0 { Err(Errno(errno::get())) } else { Ok(at as c_int) };
        }
    }
    Ok(count.min(MOST) as c_int)
}

/// A time limit is not looked at, as Linux looks at it only between messages.
#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn recvmmsg(
    fd: c_int,
    list: *mut Counted,
    count: c_uint,
    flags: c_int,
    _limit: *const c_void,
) -> c_int {
    number(each(count, |at| {
        let once = if at > 0 && flags & MSG_WAITFORONE != 0 { MSG_DONTWAIT } else { 0 };
        // SAFETY: as many messages as the caller says, and each is one by contract.
        unsafe {
            let one = list.add(at);
            let n = recvmsg(fd, &raw mut (*one).message, flags & !MSG_WAITFORONE | once);
            (*one).length = n.max(0) as c_uint;
            n
        }
    }))
}

#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn sendmmsg(
    fd: c_int,
    list: *mut Counted,
    count: c_uint,
    flags: c_int,
) -> c_int {
    number(each(count, |at| {
        // SAFETY: as above.
        unsafe {
            let one = list.add(at);
            let n = sendmsg(fd, &raw const (*one).message, flags);
            (*one).length = n.max(0) as c_uint;
            n
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::super::parts::{Part, PartMut};
    use super::super::{io, socket};
    use super::*;

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
            let none = core::ptr::null();
            assert_eq!(recvmmsg(fds[1], list.as_mut_ptr(), 3, MSG_WAITFORONE, none), 2);
            assert_eq!((list[0].length, list[1].length), (3, 5));
            assert_eq!(recvmmsg(fds[1], list.as_mut_ptr(), 3, 0, none), -1);
            assert_eq!(errno::get(), errno::EAGAIN);
            assert_eq!((&buffers[0][..3], &buffers[1][..5]), (&b"one"[..], &b"three"[..]));
        }
        assert_eq!((io::close(fds[0]), io::close(fds[1])), (0, 0));
    }
}
