//! The stack's errors as Linux's error numbers.

use mirust_rt::libc::errno::{
    EADDRINUSE, EADDRNOTAVAIL, ECONNABORTED, ECONNREFUSED, ECONNRESET, EHOSTUNREACH, EIO, EMSGSIZE,
    ENETDOWN, ENOBUFS, ENOENT, ENOTCONN, EPIPE, ETIMEDOUT,
};
use mirust_rt::libc::posix::Errno;

use crate::net::Error;

/// The number; also of what a connection that was never opened has failed with.
pub(super) fn number(error: &Error) -> Errno {
    Errno(match error {
        Error::InUse => EADDRINUSE,
        Error::Refused => ECONNREFUSED,
        Error::TimedOut => ETIMEDOUT,
        Error::Reset => ECONNRESET,
        Error::Aborted => ECONNABORTED,
        Error::Closed => EPIPE,
        Error::NoResources => ENOBUFS,
        Error::NoRoute => EHOSTUNREACH,
        Error::TooLong => EMSGSIZE,
        Error::NotFound => ENOENT,
        Error::NotLocal => EADDRNOTAVAIL,
        Error::NotConnected => ENOTCONN,
        Error::Unavailable => ENETDOWN,
        Error::Stack(_) => EIO,
    })
}
