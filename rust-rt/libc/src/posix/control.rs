//! Control data of messages that are sent.

use core::ffi::{c_int, c_void};

use super::family::Family;
use super::parts::{Errno, Result};
use crate::errno::{EFAULT, EINVAL, ENOBUFS, EOPNOTSUPP};

const SOL_SOCKET: c_int = 1;
const SCM_RIGHTS: c_int = 1;
const SCM_CREDENTIALS: c_int = 2;

/// `struct cmsghdr`, which the data follows.
#[repr(C)]
struct Header {
    /// Bytes of this and of the data.
    length: usize,
    level: c_int,
    kind: c_int,
}

const SIZE: usize = size_of::<Header>();

/// Refuses what a UNIX-domain socket would have to carry and cannot. A program that hands a descriptor over must not go
/// on as if it had arrived.
///
/// # Errors
///
/// EOPNOTSUPP for descriptors and credentials; EINVAL for what is malformed, or nothing that Linux knows; EFAULT,
/// ENOBUFS.
///
/// # Safety
///
/// NULL, or `length` bytes are readable there.
pub(super) unsafe fn check(family: Family, control: *const c_void, length: usize) -> Result {
    if length == 0 {
        return Ok(());
    }
    if c_int::try_from(length).is_err() {
        return Err(Errno(ENOBUFS));
    }
    if control.is_null() {
        return Err(Errno(EFAULT));
    }
    let mut at = 0;
    while family == Family::Unix && at + SIZE <= length {
        // SAFETY: that many bytes are readable behind `at`.
        let Header { length: n, level, kind } =
            unsafe { control.cast::<u8>().add(at).cast::<Header>().read_unaligned() };
        match (level, kind) {
            _ if !(SIZE..=length - at).contains(&n) => return Err(Errno(EINVAL)),
            (SOL_SOCKET, SCM_RIGHTS | SCM_CREDENTIALS) => return Err(Errno(EOPNOTSUPP)),
            (SOL_SOCKET, _) => return Err(Errno(EINVAL)),
            _ => {}
        }
        at += n.next_multiple_of(size_of::<usize>());
    }
    Ok(())
}
