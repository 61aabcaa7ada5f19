//! Calls on every descriptor: `read`, `write` and the like, `close`, `dup`, `fcntl`, `ioctl`, `fstat`.

use core::ffi::{c_int, c_ulong, c_void};

use super::answer::{number, size, status};
use super::block;
use super::events::Events;
use super::files::File;
use super::files::locks::{self, F_GETLK, F_SETLK, F_SETLKW};
use super::files::nameless;
use super::object::downcast;
use super::parts::{Errno, Part, PartMut, Result};
use super::table::{self, O_CLOEXEC, O_NONBLOCK};
use crate::errno::{self, EBADF, EFAULT, EINVAL, ENOTTY, ESPIPE};
use crate::layout::Stat;

/// Parts of one call at most (`UIO_MAXIOV`).
const MOST_PARTS: usize = 1024;

pub(super) fn read_parts(fd: c_int, parts: &mut [PartMut]) -> Result<usize> {
    let description = table::get(fd)?;
    if !description.may_read() {
        return Err(Errno(EBADF));
    }
    if let Some(read) = description.object.read_from_afar(parts) {
        return read;
    }
    block::attempt(&description, false, Events::IN, || description.object.read(parts))
}

pub(super) fn write_parts(fd: c_int, parts: &[Part]) -> Result<usize> {
    let description = table::get(fd)?;
    if !description.may_write() {
        return Err(Errno(EBADF));
    }
    if let Some(written) = description.object.write_to_afar(parts) {
        return written;
    }
    block::write_all(&description, parts)
}

/// Reads into one slice.
#[cfg(test)]
pub(super) fn read_into(fd: c_int, buf: &mut [u8]) -> Result<usize> {
    read_parts(fd, &mut [PartMut::new(buf)])
}

/// Writes one slice.
#[cfg(test)]
pub(super) fn write_from(fd: c_int, bytes: &[u8]) -> Result<usize> {
    write_parts(fd, &[Part::new(bytes)])
}

/// The parts of a C caller.
///
/// # Safety
///
/// `count` parts are readable at `parts`.
pub(super) unsafe fn parts<'a>(parts: *const Part, count: usize) -> Result<&'a [Part]> {
    if count > MOST_PARTS {
        return Err(Errno(EINVAL));
    }
    if count == 0 {
        return Ok(&[]);
    }
    if parts.is_null() {
        return Err(Errno(EFAULT));
    }
    // SAFETY: as the caller says.
    let parts = unsafe { core::slice::from_raw_parts(parts, count) };
    parts.iter().try_for_each(Part::check)?;
    Ok(parts)
}

/// The parts of a C caller, to be filled.
///
/// # Safety
///
/// `count` parts are readable at `parts`, and nobody else has references to them.
pub(super) unsafe fn parts_mut<'a>(parts: *mut PartMut, count: usize) -> Result<&'a mut [PartMut]> {
    if count > MOST_PARTS {
        return Err(Errno(EINVAL));
    }
    if count == 0 {
        return Ok(&mut []);
    }
    if parts.is_null() {
        return Err(Errno(EFAULT));
    }
    // SAFETY: as the caller says.
    let parts = unsafe { core::slice::from_raw_parts_mut(parts, count) };
    parts.iter().try_for_each(PartMut::check)?;
    Ok(parts)
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn read(fd: c_int, buf: *mut c_void, n: usize) -> isize {
    size(PartMut::of(buf, n).and_then(|part| read_parts(fd, &mut [part])))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn write(fd: c_int, bytes: *const c_void, n: usize) -> isize {
    size(Part::of(bytes, n).and_then(|part| write_parts(fd, &[part])))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn readv(fd: c_int, list: *mut PartMut, count: c_int) -> isize {
    // SAFETY: the contract is the same.
    let list = unsafe { parts_mut(list, usize::try_from(count).unwrap_or(usize::MAX)) };
    size(list.and_then(|list| read_parts(fd, list)))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn writev(fd: c_int, list: *const Part, count: c_int) -> isize {
    // SAFETY: the contract is the same.
    let list = unsafe { parts(list, usize::try_from(count).unwrap_or(usize::MAX)) };
    size(list.and_then(|list| write_parts(fd, list)))
}

/// The file of a descriptor; ESPIPE if it is not seekable.
pub(super) fn file(fd: c_int) -> Result<alloc::rc::Rc<File>> {
    downcast(&table::get(fd)?.object).ok_or(Errno(ESPIPE))
}

fn read_parts_at(fd: c_int, parts: &mut [PartMut], offset: i64) -> Result<usize> {
    let file = file(fd)?;
    if !table::get(fd)?.may_read() {
        return Err(Errno(EBADF));
    }
    file.read_at(parts, offset)
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn pread64(
    fd: c_int,
    buf: *mut c_void,
    n: usize,
    offset: i64,
) -> isize {
    size(PartMut::of(buf, n).and_then(|part| read_parts_at(fd, &mut [part], offset)))
}

#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn preadv64(
    fd: c_int,
    list: *mut PartMut,
    count: c_int,
    offset: i64,
) -> isize {
    // SAFETY: the contract is the same.
    let list = unsafe { parts_mut(list, usize::try_from(count).unwrap_or(usize::MAX)) };
    size(list.and_then(|list| read_parts_at(fd, list, offset)))
}

fn write_parts_at(fd: c_int, parts: &[Part], offset: i64) -> Result<usize> {
    let file = file(fd)?;
    if !table::get(fd)?.may_write() {
        return Err(Errno(EBADF));
    }
    // As on Linux, and unlike what POSIX says.
    match file.appends() && offset >= 0 {
        true => file.append(parts),
        false => file.write_at(parts, offset),
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn pwrite64(
    fd: c_int,
    bytes: *const c_void,
    n: usize,
    offset: i64,
) -> isize {
    size(Part::of(bytes, n).and_then(|part| write_parts_at(fd, &[part], offset)))
}

#[cfg_attr(not(any(test, feature = "posix-on-unix")), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn pwritev64(
    fd: c_int,
    list: *const Part,
    count: c_int,
    offset: i64,
) -> isize {
    // SAFETY: the contract is the same.
    let list = unsafe { parts(list, usize::try_from(count).unwrap_or(usize::MAX)) };
    size(list.and_then(|list| write_parts_at(fd, list, offset)))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn lseek64(fd: c_int, offset: i64, whence: c_int) -> i64 {
    match file(fd).and_then(|file| file.seek(offset, whence)) {
        Ok(at) => at as i64,
        Err(Errno(errno)) => errno::fail(errno).into(),
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn lseek(fd: c_int, offset: i64, whence: c_int) -> i64 {
    lseek64(fd, offset, whence)
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn close(fd: c_int) -> c_int {
    status(table::close(fd))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn dup(fd: c_int) -> c_int {
    number(table::duplicate(fd, 0, false))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn dup2(fd: c_int, to: c_int) -> c_int {
    number(table::duplicate_to(fd, to, false))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn dup3(fd: c_int, to: c_int, flags: c_int) -> c_int {
    number(match (flags & !O_CLOEXEC, fd == to) {
        (0, false) => table::duplicate_to(fd, to, flags != 0),
        _ => Err(Errno(EINVAL)),
    })
}

/// Duplicates, flags, record locks, the size of pipes; EINVAL for all else. What the variadic argument of C is
/// has the place of an ordinary third one.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn fcntl(fd: c_int, command: c_int, argument: c_ulong) -> c_int {
    number(match command {
        F_GETLK | F_SETLK | F_SETLKW => table::get(fd).and_then(|description| {
            let lock = core::ptr::with_exposed_provenance_mut(argument as usize);
            // SAFETY: NULL or a `struct flock` of the caller's, by the contract of these commands.
            unsafe { locks::control(&description, command, lock) }
        }),
        _ => control(fd, command, argument as c_int),
    })
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn fcntl64(fd: c_int, command: c_int, argument: c_ulong) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { fcntl(fd, command, argument) }
}

fn control(fd: c_int, command: c_int, argument: c_int) -> Result<c_int> {
    const F_DUPFD: c_int = 0;
    const F_GETFD: c_int = 1;
    const F_SETFD: c_int = 2;
    const F_GETFL: c_int = 3;
    const F_SETFL: c_int = 4;
    const F_DUPFD_CLOEXEC: c_int = 1030;
    const F_GETPIPE_SZ: c_int = 1032;
    const F_ADD_SEALS: c_int = 1033;
    const F_GET_SEALS: c_int = 1034;
    let description = table::get(fd)?;
    match command {
        F_DUPFD => table::duplicate(fd, argument, false),
        F_DUPFD_CLOEXEC => table::duplicate(fd, argument, true),
        F_GETFD => table::close_on_exec(fd).map(c_int::from),
        F_SETFD => table::set_close_on_exec(fd, argument & 1 != 0).map(|()| 0),
        F_GETFL => Ok(description.flags()),
        F_SETFL => {
            description.set_flags(argument);
            Ok(0)
        }
        F_GETPIPE_SZ if description.object.stat().mode == Stat::fifo().mode => {
            Ok(super::pipe::CAPACITY as c_int)
        }
        F_ADD_SEALS => nameless::seal(fd, Some(argument)),
        F_GET_SEALS => nameless::seal(fd, None),
        _ => Err(Errno(EINVAL)),
    }
}

/// FIONBIO, FIONREAD, FIOCLEX and FIONCLEX; ENOTTY for all else.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn ioctl(fd: c_int, request: c_ulong, argument: *mut c_int) -> c_int {
    const FIONREAD: c_ulong = 0x541b;
    const FIONBIO: c_ulong = 0x5421;
    const FIONCLEX: c_ulong = 0x5450;
    const FIOCLEX: c_ulong = 0x5451;
    let answer = table::get(fd).and_then(|description| match request {
        FIONBIO if argument.is_null() => Err(Errno(EFAULT)),
        FIONBIO => {
            // SAFETY: an int, by the contract of this request.
            let on = unsafe { *argument } != 0;
            let others = description.flags() & !O_NONBLOCK;
            description.set_flags(if on { others | O_NONBLOCK } else { others });
            Ok(())
        }
        FIONREAD => {
            let n = block::on_main(|| description.object.available())?;
            if argument.is_null() {
                return Err(Errno(EFAULT));
            }
            // SAFETY: an int, by the contract of this request.
            unsafe { *argument = c_int::try_from(n).unwrap_or(c_int::MAX) };
            Ok(())
        }
        FIOCLEX => table::set_close_on_exec(fd, true),
        FIONCLEX => table::set_close_on_exec(fd, false),
        _ => Err(Errno(ENOTTY)),
    });
    status(answer)
}

/// The console counts as a pipe, not as a terminal, so that programs do not send it colours.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn isatty(fd: c_int) -> c_int {
    errno::set(match table::get(fd) {
        Ok(_) => ENOTTY,
        Err(Errno(errno)) => errno,
    });
    0
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn fstat64(fd: c_int, stat: *mut Stat) -> c_int {
    status(table::get(fd).and_then(|description| {
        if stat.is_null() {
            return Err(Errno(EFAULT));
        }
        // SAFETY: writable by contract.
        unsafe { *stat = description.object.stat() };
        Ok(())
    }))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn fstat(fd: c_int, stat: *mut Stat) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { fstat64(fd, stat) }
}

#[cfg(test)]
mod tests {
    use super::super::host_tests::same;
    use super::*;
    use alloc::vec;

    #[test]
    fn flags_and_duplicates_are_those_of_the_kernel() {
        same(|c| {
            let [r, w] = c.pipe(O_CLOEXEC);
            let mut log = vec![c.fcntl(r, 1, 0), c.fcntl(r, 3, 0), c.fcntl(w, 3, 0)];
            log.extend([
                c.fcntl(r, 4, 0o4000),
                c.fcntl(r, 3, 0),
                c.fcntl(r, 2, 0),
                c.fcntl(r, 1, 0),
            ]);
            log.extend([c.fionbio(r, 0), c.fcntl(r, 3, 0), c.fcntl(r, 99, 0), c.fcntl(r, 1032, 0)]);
            let copy = c.fcntl(r, 1030, 100);
            log.extend([
                c.fcntl(copy as c_int, 1, 0),
                c.dup3(r, r, 0),
                c.dup3(r, copy as c_int, 8),
            ]);
            log.extend([c.fcntl(copy as c_int, 0, -1), c.fcntl(-1, 3, 0), c.dup(-1)]);
            log.extend([c.close(copy as c_int), c.close(copy as c_int), c.close(r), c.close(w)]);
            log
        });
    }

    #[test]
    fn what_has_no_places_says_so() {
        same(|c| {
            let [r, w] = c.pipe(0);
            let e = c.eventfd(0, 0);
            let log =
                vec![c.lseek(r, 0, 0), c.lseek(99, 0, 0), c.pread(r, &mut [0]), c.fionread(e)];
            for fd in [r, w, e] {
                c.close(fd);
            }
            log
        });
    }
}
