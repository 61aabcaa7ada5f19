//! Opening and closing, octets and blocks of them.

use alloc::boxed::Box;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;

use super::super::files::calls::open_at;
use super::super::files::{changes, unique};
use super::super::io;
use super::super::parts::{Errno, Result};
use super::super::small::calls;
use super::super::table::{self, O_ACCMODE, O_APPEND, O_CLOEXEC};
use super::{KIND, Locked, O_WRONLY, Opened, STDIN, or_end, stdin};
use crate::errno::{self, EBADF, ECHILD, EINVAL, EISDIR, EOPNOTSUPP};
use crate::pthread::{pthread_mutex_lock, pthread_mutex_trylock, pthread_mutex_unlock};
use crate::stdio::{self, END, EOF, ERROR, File};
use crate::stub::stubs;
use crate::threads::objects::Mutex;

const O_RDWR: c_int = 2;
const O_CREAT: c_int = 0o100;
const O_EXCL: c_int = 0o200;
const O_TRUNC: c_int = 0o1000;
const AT_FDCWD: c_int = -100;

/// What `open` is to be asked for by a mode such as `"w+b"`.
pub(super) fn flags(mode: &[u8]) -> Result<c_int> {
    let (first, rest) = mode.split_first().ok_or(Errno(EINVAL))?;
    let mut flags = match first {
        b'r' => 0,
        b'w' => O_WRONLY | O_CREAT | O_TRUNC,
        b'a' => O_WRONLY | O_CREAT | O_APPEND,
        _ => return Err(Errno(EINVAL)),
    };
    for letter in rest {
        match letter {
            b'+' => flags = flags & !O_ACCMODE | O_RDWR,
            b'x' => flags |= O_EXCL,
            b'e' => flags |= O_CLOEXEC,
            _ => {}
        }
    }
    Ok(flags)
}

/// What C gets: a stream, or NULL.
pub(super) fn stream(result: Result<*const File>) -> *const File {
    result.unwrap_or_else(|Errno(error)| {
        errno::set(error);
        ptr::null()
    })
}

/// # Safety
///
/// Both are C strings.
unsafe fn open(path: *const c_char, mode: *const c_char) -> Result<(c_int, c_int)> {
    // SAFETY: as the caller says.
    let (path, mode) = unsafe { (CStr::from_ptr(path), CStr::from_ptr(mode)) };
    let flags = flags(mode.to_bytes())?;
    let fd = open_at(AT_FDCWD, path.to_bytes(), flags, 0o666)?;
    if flags & (O_ACCMODE | O_APPEND) == O_WRONLY | O_APPEND {
        go_to_the_end(fd);
    }
    Ok((fd, flags))
}

/// Where what is appended goes, if it has places.
fn go_to_the_end(fd: c_int) {
    const SEEK_END: c_int = 2;
    let _ = io::file(fd).and_then(|file| file.seek(0, SEEK_END));
}

/// A stream on a descriptor of its own, which is closed if there is no memory for it.
pub(super) fn stream_on(fd: c_int, flags: c_int) -> Result<*const File> {
    Opened::open(fd, flags).inspect_err(|_| {
        let _ = table::close(fd);
    })
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn fopen(path: *const c_char, mode: *const c_char) -> *const File {
    // SAFETY: the contract is the same.
    stream(unsafe { open(path, mode) }.and_then(|(fd, flags)| stream_on(fd, flags)))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn fdopen(fd: c_int, mode: *const c_char) -> *const File {
    // SAFETY: a C string.
    let flags = flags(unsafe { CStr::from_ptr(mode) }.to_bytes());
    stream(flags.and_then(|flags| {
        let description = table::get(fd)?;
        let refused = flags & O_ACCMODE != O_WRONLY && !description.may_read()
            || flags & O_ACCMODE != 0 && !description.may_write();
        if refused {
            return Err(Errno(EINVAL));
        }
        if flags & !description.flags() & O_APPEND != 0 {
            description.set_flags(description.flags() | O_APPEND);
            if flags & O_ACCMODE == O_WRONLY {
                go_to_the_end(fd);
            }
        }
        Opened::open(fd, flags)
    }))
}

/// The same stream on another file. Without a path it is to change its mode, which it cannot (EBADF); the streams of
/// the console stay there (EOPNOTSUPP). The stream is closed in any case.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn freopen(
    path: *const c_char,
    mode: *const c_char,
    old: *const File,
) -> *const File {
    // SAFETY: the contract is the same.
    let opened = unsafe {
        match Locked::of(old) {
            Ok(mut locked) => reopen(&mut locked, path, mode),
            Err(Errno(EBADF)) => return stream(Err(Errno(EOPNOTSUPP))),
            Err(error) => return stream(Err(error)),
        }
    };
    if opened.is_err() {
        // SAFETY: as above; the caller does not use it again.
        unsafe { fclose(old) };
    }
    stream(opened.map(|()| old))
}

/// # Safety
///
/// The path is NULL or a C string, the mode a C string.
unsafe fn reopen(locked: &mut Locked, path: *const c_char, mode: *const c_char) -> Result {
    let fd = locked.fd();
    // Whatever is wrong with the old one is over.
    let _ = locked.buffer().settle(fd);
    if path.is_null() {
        return Err(Errno(EBADF));
    }
    // SAFETY: as the caller says.
    let (new, flags) = unsafe { open(path, mode) }?;
    // The number stays the same, as on Linux. Somebody may have closed it before.
    if new != fd {
        let moved = table::duplicate_to(new, fd, flags & O_CLOEXEC != 0);
        table::close(new)?;
        moved?;
    }
    locked.0.mode.set(flags & (O_ACCMODE | O_APPEND));
    locked.0.file.forget(END | ERROR);
    locked.0.list();
    Ok(())
}

/// The console stays open, once it is flushed.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn fclose(stream: *const File) -> c_int {
    // SAFETY: a stream of the caller's.
    let mut locked = match unsafe { Locked::of(stream) } {
        Ok(locked) => locked,
        Err(Errno(EBADF)) => return stdio::flush_console(),
        Err(Errno(error)) => return errno::fail(error),
    };
    let fd = locked.fd();
    let written = locked.buffer().settle(fd).and_then(|()| locked.deliver());
    locked.0.unlist();
    drop(locked);
    let closed = table::close(fd);
    if !ptr::eq(stream.cast(), &raw const STDIN) {
        // SAFETY: `open` made it, nobody finds it in the list, and the caller does not use it again.
        drop(unsafe { Box::from_raw(stream.cast::<Opened>().cast_mut()) });
    }
    or_end(written.and(closed).map(|()| 0))
}

/// A file without a name, in `/tmp`.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn tmpfile() -> *const File {
    let mut name = *b"/tmp/tmpfXXXXXX\0";
    let name = name.as_mut_ptr().cast::<c_char>();
    // SAFETY: a C string that can be written.
    unsafe {
        let fd = unique::mkstemp(name);
        if fd < 0 {
            return ptr::null();
        }
        changes::unlink(name);
        stream(stream_on(fd, O_RDWR))
    }
}

/// A file, or an empty directory.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn remove(path: *const c_char) -> c_int {
    // SAFETY: the contract is the same.
    unsafe {
        match changes::unlink(path) {
            -1 if errno::get() == EISDIR => changes::rmdir(path),
            answer => answer,
        }
    }
}

stubs! {
    ENOSYS popen(*const c_char, *const c_char) -> *const File = ptr::null(), "an image has no other programs";
}

/// Nobody has one: [`popen`] gives none.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn pclose(_stream: *const File) -> c_int {
    errno::fail(ECHILD)
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn fread(
    to: *mut c_void,
    size: usize,
    count: usize,
    stream: *const File,
) -> usize {
    if size == 0 || count == 0 {
        return 0;
    }
    // SAFETY: the caller has room for `count` items of `size` bytes, and has put something there or not.
    let to = unsafe { core::slice::from_raw_parts_mut(to.cast::<u8>(), size * count) };
    // SAFETY: a stream of the caller's.
    let read = unsafe { Locked::to_read(stream) }.map(|mut locked| {
        let fd = locked.fd();
        if locked.0.file.has(END) && locked.buffer().unread().is_empty() {
            return 0;
        }
        let (n, end) = locked.buffer().read(fd, to);
        if let Err(Errno(error)) = locked.note(end) {
            errno::set(error);
        }
        n
    });
    match read {
        Ok(n) => n / size,
        Err(Errno(error)) => {
            errno::set(error);
            0
        }
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn fgetc(stream: *const File) -> c_int {
    // SAFETY: a stream of the caller's.
    or_end(unsafe { Locked::to_read(stream) }.and_then(|mut locked| {
        let Some(&byte) = locked.unread()?.and_then(<[u8]>::first) else { return Ok(EOF) };
        locked.buffer().take(1);
        Ok(byte.into())
    }))
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn getchar() -> c_int {
    // SAFETY: a stream.
    unsafe { fgetc(stdin.0) }
}

/// There is room for eight octets.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn ungetc(byte: c_int, stream: *const File) -> c_int {
    // SAFETY: a stream of the caller's.
    match unsafe { Locked::to_read(stream) } {
        Ok(mut locked) if byte != EOF => {
            let fd = locked.fd();
            if !locked.buffer().push_back(fd, byte as u8) {
                return EOF;
            }
            locked.0.file.forget(END);
            c_int::from(byte as u8)
        }
        _ => EOF,
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn feof(stream: *const File) -> c_int {
    // SAFETY: a stream of the caller's.
    unsafe { &*stream }.has(END).into()
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn clearerr(stream: *const File) {
    // SAFETY: a stream of the caller's.
    unsafe { &*stream }.forget(END | ERROR);
}

/// With what size, and whether by line (`_IOLBF`) or not at all (`_IONBF`); the buffer is the stream's own in any case.
/// The console's streams stay as they are.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn setvbuf(
    stream: *const File,
    _buffer: *mut c_char,
    mode: c_int,
    size: usize,
) -> c_int {
    let size = match (mode, size) {
        (0 | 1, 0) => super::buffer::SIZE,
        (0 | 1, size) => size.clamp(16, 1 << 20),
        (2, _) => 1,
        _ => return errno::fail(EINVAL),
    };
    // SAFETY: a stream of the caller's.
    match unsafe { Locked::of(stream) } {
        Ok(mut locked) => {
            let fd = locked.fd();
            or_end(locked.buffer().set(fd, size, mode == 1).map(|()| 0))
        }
        Err(_) => 0,
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn setbuf(stream: *const File, buffer: *mut c_char) {
    // SAFETY: the contract is the same.
    unsafe { setvbuf(stream, buffer, if buffer.is_null() { 2 } else { 0 }, 0) };
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn setlinebuf(stream: *const File) {
    // SAFETY: the contract is the same.
    unsafe { setvbuf(stream, ptr::null_mut(), 1, 0) };
}

/// The stream's lock, which a thread can have several times; the console's streams need none.
///
/// # Safety
///
/// It is a stream that is open.
unsafe fn lock(stream: *const File) -> Option<*mut Mutex> {
    // SAFETY: as the caller says; a stream of this kind is an Opened.
    unsafe {
        ptr::eq((*stream).kind, &raw const KIND).then(|| (*stream.cast::<Opened>()).lock.get())
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn flockfile(stream: *const File) {
    // SAFETY: a stream of the caller's.
    unsafe { lock(stream).map(|lock| pthread_mutex_lock(lock)) };
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn ftrylockfile(stream: *const File) -> c_int {
    // SAFETY: a stream of the caller's.
    unsafe { lock(stream).map_or(0, |lock| pthread_mutex_trylock(lock)) }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn funlockfile(stream: *const File) {
    // SAFETY: a stream of the caller's, which this thread has locked.
    unsafe { lock(stream).map(|lock| pthread_mutex_unlock(lock)) };
}

/// Forgets what was read and what was not written.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn __fpurge(stream: *const File) {
    // SAFETY: a stream of the caller's.
    if let Ok(mut locked) = unsafe { Locked::of(stream) } {
        locked.buffer().forget();
    }
}

calls! {
    fopen64(path: *const c_char, mode: *const c_char) -> *const File = fopen;
    freopen64(path: *const c_char, mode: *const c_char, old: *const File) -> *const File = freopen;
    tmpfile64() -> *const File = tmpfile;
    fread_unlocked(to: *mut c_void, size: usize, n: usize, stream: *const File) -> usize = fread;
    getc(stream: *const File) -> c_int = fgetc;
    getc_unlocked(stream: *const File) -> c_int = fgetc;
    fgetc_unlocked(stream: *const File) -> c_int = fgetc;
    __uflow(stream: *const File) -> c_int = fgetc;
    getchar_unlocked() -> c_int = getchar;
    feof_unlocked(stream: *const File) -> c_int = feof;
    clearerr_unlocked(stream: *const File) -> () = clearerr;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_programs_are_refused() {
        assert!(popen(c"ls".as_ptr(), c"r".as_ptr()).is_null());
        assert_eq!(errno::get(), errno::ENOSYS);
        assert_eq!((pclose(ptr::null()), errno::get()), (-1, ECHILD));
    }
}
