//! Record locks, by `fcntl`: they keep other processes out. There are none, so that each is granted at once, and
//! nobody is ever found to hold one.

use core::ffi::{c_int, c_short};

use super::super::parts::{Errno, Result};
use super::super::table::Description;
use crate::errno::{EBADF, EFAULT, EINVAL};

/// Asks who stands in the way.
pub(in super::super) const F_GETLK: c_int = 5;
/// Takes or leaves a lock without waiting.
pub(in super::super) const F_SETLK: c_int = 6;
/// As [`F_SETLK`], and waits.
pub(in super::super) const F_SETLKW: c_int = 7;
const F_RDLCK: c_short = 0;
const F_WRLCK: c_short = 1;
const F_UNLCK: c_short = 2;

/// `struct flock`.
#[repr(C)]
pub(in super::super) struct RecordLock {
    kind: c_short,
    whence: c_short,
    start: i64,
    len: i64,
    owner: c_int,
}

/// Carries out one of the three commands.
///
/// # Errors
///
/// EBADF for a shared lock of what cannot be read or an exclusive one of what cannot be written; EINVAL for another
/// kind, or a beginning that is none; EFAULT for NULL.
///
/// # Safety
///
/// `lock` is NULL, or readable and writable.
pub(in super::super) unsafe fn control(
    description: &Description,
    command: c_int,
    lock: *mut RecordLock,
) -> Result<c_int> {
    // SAFETY: as the caller says, and nobody else accesses it meanwhile.
    let lock = unsafe { lock.as_mut() }.ok_or(Errno(EFAULT))?;
    if !(0..=2).contains(&lock.whence) {
        return Err(Errno(EINVAL));
    }
    match (command, lock.kind) {
        (F_GETLK, F_RDLCK | F_WRLCK) => lock.kind = F_UNLCK,
        (F_GETLK, _) => return Err(Errno(EINVAL)),
        (_, F_RDLCK) if !description.may_read() => return Err(Errno(EBADF)),
        (_, F_WRLCK) if !description.may_write() => return Err(Errno(EBADF)),
        (_, F_RDLCK | F_WRLCK | F_UNLCK) => {}
        _ => return Err(Errno(EINVAL)),
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::super::super::{io, pipe};
    use super::*;
    use crate::errno;
    use core::mem::offset_of;

    /// What `fcntl` answers, negative for an error, and the kind of lock that it leaves.
    fn ask(fd: c_int, command: c_int, kind: c_short) -> (c_int, c_short) {
        let mut lock = RecordLock { kind, whence: 0, start: 0, len: 1, owner: 0 };
        // SAFETY: the lock is there.
        let answer = unsafe { io::fcntl(fd, command, (&raw mut lock).expose_provenance() as _) };
        (if answer < 0 { -errno::get() } else { answer }, lock.kind)
    }

    #[test]
    fn nobody_stands_in_the_way() {
        let mut ends = [0; 2];
        // SAFETY: room for two.
        assert_eq!(unsafe { pipe::pipe(&raw mut ends) }, 0);
        let [reader, writer] = ends;
        assert_eq!(ask(reader, F_SETLK, F_RDLCK), (0, F_RDLCK));
        assert_eq!(ask(reader, F_SETLK, F_WRLCK), (-EBADF, F_WRLCK));
        assert_eq!(ask(writer, F_SETLKW, F_WRLCK), (0, F_WRLCK));
        assert_eq!(ask(writer, F_SETLK, F_RDLCK), (-EBADF, F_RDLCK));
        assert_eq!(ask(writer, F_SETLK, F_UNLCK), (0, F_UNLCK));
        assert_eq!(ask(reader, F_GETLK, F_WRLCK), (0, F_UNLCK));
        assert_eq!(ask(reader, F_GETLK, F_UNLCK).0, -EINVAL);
        assert_eq!(ask(reader, F_SETLK, 9).0, -EINVAL);
        assert_eq!(ask(99, F_SETLK, F_RDLCK).0, -EBADF);
        // SAFETY: NULL is allowed.
        assert_eq!((unsafe { io::fcntl(reader, F_SETLK, 0) }, errno::get()), (-1, EFAULT));
    }

    #[test]
    fn the_layout_is_the_hosts() {
        assert_eq!(size_of::<RecordLock>(), size_of::<host_libc::flock>());
        assert_eq!(offset_of!(RecordLock, start), offset_of!(host_libc::flock, l_start));
        assert_eq!(offset_of!(RecordLock, owner), offset_of!(host_libc::flock, l_pid));
    }
}
