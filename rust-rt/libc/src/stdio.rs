//! `<stdio.h>`: formatted output, and the three streams on the console.
//!
//! `stdout` and `stderr` are buffered by line, so that a message made of several calls stays in one
//! piece; `stdin` is at its end. There are no other streams.

use super::asm::{VaList, variadic};
use super::cstr;
use super::errno::{self, EBADF};
use super::host;
use super::printf::{self, Sink};
use core::ffi::{c_char, c_int, c_void};
use spin::Mutex;

const EOF: c_int = -1;

/// C's `FILE`, only ever seen through a pointer.
struct File {
    fd: c_int,
    line: Mutex<Line>,
}

struct Line {
    buf: [u8; 256],
    used: usize,
}

impl Line {
    const NEW: Self = Line { buf: [0; 256], used: 0 };

    fn flush(&mut self) {
        if self.used > 0 {
            (host::get().console_write)(&self.buf[..self.used]);
            self.used = 0;
        }
    }
}

impl Sink for Line {
    /// Sends whole lines, and keeps an unfinished one that fits.
    fn put(&mut self, bytes: &[u8]) {
        let whole = bytes.iter().rposition(|&c| c == b'\n').map_or(0, |i| i + 1);
        let (lines, rest) = bytes.split_at(whole);
        for part in [lines, rest] {
            if self.used + part.len() > self.buf.len() {
                self.flush();
            }
            if part.len() > self.buf.len() {
                (host::get().console_write)(part);
            } else {
                self.buf[self.used..][..part.len()].copy_from_slice(part);
                self.used += part.len();
            }
            if part.ends_with(b"\n") {
                self.flush();
            }
        }
    }
}

static STDIN: File = File { fd: 0, line: Mutex::new(Line::NEW) };
static STDOUT: File = File { fd: 1, line: Mutex::new(Line::NEW) };
static STDERR: File = File { fd: 2, line: Mutex::new(Line::NEW) };

/// The value of C's variables `stdin`, `stdout` and `stderr`.
#[repr(transparent)]
struct Stream(*const File);

// SAFETY: the pointer is to a static that is Sync itself.
unsafe impl Sync for Stream {}

#[allow(non_upper_case_globals)]
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
static stdin: Stream = Stream(&raw const STDIN);
#[allow(non_upper_case_globals)]
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
static stdout: Stream = Stream(&raw const STDOUT);
#[allow(non_upper_case_globals)]
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
static stderr: Stream = Stream(&raw const STDERR);

impl Stream {
    fn file(&self) -> &'static File {
        // SAFETY: C code gets streams only from the three variables above, which point to statics.
        unsafe { &*self.0 }
    }

    /// Hands the stream's line to `write`. Should an exception handler print while the line is
    /// locked, it goes past the buffer.
    fn with<R>(&self, write: impl FnOnce(&mut dyn Sink) -> R) -> R {
        match self.file() {
            File { fd: 1 | 2, line } => match line.try_lock() {
                Some(mut line) => write(&mut *line),
                None => write(&mut Unbuffered),
            },
            _ => write(&mut Nowhere),
        }
    }

    /// Sends bytes; false, with EBADF, for the stream that is for input.
    fn put(&self, bytes: &[u8]) -> bool {
        if self.file().fd == 0 {
            errno::set(EBADF);
            return false;
        }
        self.with(|line| line.put(bytes));
        true
    }
}

struct Unbuffered;

impl Sink for Unbuffered {
    fn put(&mut self, bytes: &[u8]) {
        (host::get().console_write)(bytes);
    }
}

struct Nowhere;

impl Sink for Nowhere {
    fn put(&mut self, _bytes: &[u8]) {}
}

/// Sends what is buffered. Called before the domain ends.
pub(super) fn flush_all() {
    for file in [&STDOUT, &STDERR] {
        if let Some(mut line) = file.line.try_lock() {
            line.flush();
        }
    }
}

/// A NULL stream means all of them.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn fflush(_stream: Stream) -> c_int {
    flush_all();
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn fileno(stream: Stream) -> c_int {
    stream.file().fd
}

/// The console never fails.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn ferror(_stream: Stream) -> c_int {
    0
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn fwrite(
    bytes: *const c_void,
    size: usize,
    count: usize,
    stream: Stream,
) -> usize {
    if size == 0 || count == 0 {
        return 0;
    }
    // SAFETY: the caller has `count` items of `size` bytes, which are an object and so do not
    // overflow a size.
    let bytes = unsafe { core::slice::from_raw_parts(bytes.cast::<u8>(), size * count) };
    if stream.put(bytes) { count } else { 0 }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn fputc(byte: c_int, stream: Stream) -> c_int {
    put_byte(byte, &stream)
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn putc(byte: c_int, stream: Stream) -> c_int {
    put_byte(byte, &stream)
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn putchar(byte: c_int) -> c_int {
    put_byte(byte, &stdout)
}

fn put_byte(byte: c_int, stream: &Stream) -> c_int {
    if stream.put(&[byte as u8]) { c_int::from(byte as u8) } else { EOF }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn fputs(s: *const c_char, stream: Stream) -> c_int {
    // SAFETY: `s` is a C string.
    if stream.put(unsafe { cstr::bytes(s) }) { 0 } else { EOF }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn puts(s: *const c_char) -> c_int {
    // SAFETY: `s` is a C string.
    stdout.put(unsafe { cstr::bytes(s) });
    put_byte(b'\n'.into(), &stdout)
}

/// `s: text of errno` on `stderr`.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn perror(s: *const c_char) {
    let text = errno::text(errno::get()).to_bytes();
    // SAFETY: `s` is NULL or a C string.
    let s = if s.is_null() { &b""[..] } else { unsafe { cstr::bytes(s) } };
    stderr.with(|out| {
        out.put(s);
        out.put(if s.is_empty() { b"" } else { b": " });
        out.put(text);
        out.put(b"\n");
    });
}

variadic!("printf", 1 => vprintf);
variadic!("fprintf", 2 => vfprintf);
variadic!("sprintf", 2 => vsprintf);
variadic!("snprintf", 3 => vsnprintf);
variadic!("__printf_chk", 2 => __vprintf_chk);
variadic!("__fprintf_chk", 3 => __vfprintf_chk);

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn vprintf(format: *const c_char, args: *mut VaList) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { print(&stdout, format, args) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn vfprintf(stream: Stream, format: *const c_char, args: *mut VaList) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { print(&stream, format, args) }
}

/// The flag of fortified callers refuses `%n` in a writable format; it makes no difference here.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn __vprintf_chk(
    _flag: c_int,
    format: *const c_char,
    args: *mut VaList,
) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { print(&stdout, format, args) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn __vfprintf_chk(
    stream: Stream,
    _flag: c_int,
    format: *const c_char,
    args: *mut VaList,
) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { print(&stream, format, args) }
}

/// # Safety
///
/// That of [`printf::format`]; `args` is not NULL and not used by anyone else.
unsafe fn print(stream: &Stream, format: *const c_char, args: *mut VaList) -> c_int {
    if stream.file().fd == 0 {
        return errno::fail(EBADF);
    }
    // SAFETY: as the caller says.
    stream.with(|out| unsafe { printf::format(out, format, &mut *args) })
}

/// A buffer that keeps what fits.
struct Buffer {
    at: *mut u8,
    room: usize,
}

impl Sink for Buffer {
    fn put(&mut self, bytes: &[u8]) {
        let n = bytes.len().min(self.room);
        // SAFETY: `room` bytes at `at` are writable and belong to the caller of `print_to`; the
        // strings that a format names must not overlap them.
        unsafe { self.at.copy_from_nonoverlapping(bytes.as_ptr(), n) };
        self.at = self.at.wrapping_add(n);
        self.room -= n;
    }
}

/// Formats into `size` bytes at `buf`, of which the last is a NUL.
///
/// # Safety
///
/// That of [`printf::format`]; `size` bytes at `buf` are writable.
pub(super) unsafe fn print_to(
    buf: *mut c_char,
    size: usize,
    format: *const c_char,
    args: *mut VaList,
) -> c_int {
    let mut out = Buffer { at: buf.cast(), room: size.saturating_sub(1) };
    // SAFETY: as the caller says; `at` never moves past the byte that `room` left for the NUL.
    unsafe {
        let n = printf::format(&mut out, format, &mut *args);
        if size > 0 {
            *out.at = 0;
        }
        n
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn vsnprintf(
    buf: *mut c_char,
    size: usize,
    format: *const c_char,
    args: *mut VaList,
) -> c_int {
    // SAFETY: the contract is the same.
    unsafe { print_to(buf, size, format, args) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn vsprintf(buf: *mut c_char, format: *const c_char, args: *mut VaList) -> c_int {
    // SAFETY: the buffer is large enough by contract; no object is larger than isize::MAX.
    unsafe { print_to(buf, isize::MAX as usize, format, args) }
}

#[cfg(test)]
mod tests;
