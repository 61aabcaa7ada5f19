//! `<stdio.h>`: formatted output, and the streams on the console.
//!
//! `stdout` and `stderr` are buffered by line, so that a message made of several calls stays in one
//! piece. With the feature `posix` there are streams on files as well, and `stdin` is one (`posix/streams`);
//! without it `stdin` is for nothing.

use super::asm::{VaList, variadic};
use super::cstr;
use super::errno;
use super::host;
use super::printf::{self, Sink};
use core::cell::Cell;
use core::ffi::{c_char, c_int, c_void};
#[cfg(feature = "posix")]
use core::sync::atomic::{AtomicPtr, Ordering};
use spin::Mutex;

pub(super) const EOF: c_int = -1;

/// What every stream begins with: C's `FILE`, only ever seen through a pointer.
///
/// glibc's macros and inline functions (`getc_unlocked`, `feof_unlocked`) read the first fields. By these, nothing is
/// ever buffered, so that a function is called.
///
/// Without files there is the console alone, whose streams are nothing but zeroes at first and take no room in an
/// image.
#[repr(C)]
pub(super) struct File {
    flags: Cell<c_int>,
    buffers: [*const u8; 6],
    #[cfg(feature = "posix")]
    pub(super) kind: &'static Kind,
    /// The stream that was opened before this one.
    #[cfg(feature = "posix")]
    pub(super) next: AtomicPtr<File>,
    #[cfg(feature = "posix")]
    pub(super) fd: Cell<c_int>,
}

// From `_IO_read_ptr` to `_IO_write_end`.
const _: () = assert!(core::mem::offset_of!(File, buffers) == 8 && size_of::<File>() >= 56);

/// What a stream does.
#[cfg(feature = "posix")]
pub(super) struct Kind {
    /// Takes octets, and says how many. If not all, `errno` is set.
    pub(super) put: unsafe fn(*const File, &[u8]) -> usize,
    /// Sends what is buffered: 0, or EOF and `errno`. If the stream is in use, it waits for it if `waits`, and
    /// otherwise does nothing.
    pub(super) flush: unsafe fn(*const File, waits: bool) -> c_int,
    /// Formats, as one operation.
    pub(super) print: unsafe fn(*const File, *const c_char, &mut VaList) -> c_int,
}

/// The flags of a stream that has met its end, and of one that has failed, as glibc has them.
#[cfg_attr(not(feature = "posix"), allow(dead_code))]
pub(super) const END: c_int = 0x10;
pub(super) const ERROR: c_int = 0x20;

#[cfg_attr(not(feature = "posix"), allow(dead_code))]
impl File {
    #[cfg(not(feature = "posix"))]
    const fn new() -> Self {
        File { flags: Cell::new(0), buffers: [core::ptr::null(); 6] }
    }

    #[cfg(feature = "posix")]
    pub(super) const fn new(kind: &'static Kind, fd: c_int) -> Self {
        File {
            flags: Cell::new(0),
            buffers: [core::ptr::null(); 6],
            kind,
            next: AtomicPtr::new(core::ptr::null_mut()),
            fd: Cell::new(fd),
        }
    }

    pub(super) fn has(&self, flags: c_int) -> bool {
        self.flags.get() & flags != 0
    }

    pub(super) fn note(&self, flags: c_int) {
        self.flags.set(self.flags.get() | flags);
    }

    pub(super) fn forget(&self, flags: c_int) {
        self.flags.set(self.flags.get() & !flags);
    }
}

/// The last one that was opened. Those of the console always are.
#[cfg(feature = "posix")]
pub(super) static OPENED: AtomicPtr<File> = AtomicPtr::new(core::ptr::null_mut());

/// A stream to the console.
#[repr(C)]
struct Console {
    file: File,
    line: Mutex<Line>,
}

// SAFETY: its flags never change, its line has a lock, and nobody else has one.
unsafe impl Sync for Console {}

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

#[cfg(feature = "posix")]
static CONSOLE: Kind =
    Kind { put: put_on_console, flush: |_, _| flush_console(), print: print_by_piece };

static STDOUT: Console = Console::new(1);
static STDERR: Console = Console::new(2);

impl Console {
    #[cfg_attr(not(feature = "posix"), allow(unused_variables))]
    const fn new(fd: c_int) -> Self {
        #[cfg(feature = "posix")]
        let file = File::new(&CONSOLE, fd);
        #[cfg(not(feature = "posix"))]
        let file = File::new();
        Console { file, line: Mutex::new(Line::NEW) }
    }
}

/// Should an exception handler print while the line is locked, it goes past the buffer.
unsafe fn put_on_console(stream: *const File, bytes: &[u8]) -> usize {
    // SAFETY: a stream of this kind is one of the two above.
    let console = unsafe { &*stream.cast::<Console>() };
    match console.line.try_lock() {
        Some(mut line) => line.put(bytes),
        None => (host::get().console_write)(bytes),
    }
    bytes.len()
}

/// A C program's pointer to a stream: NULL, or one that is open.
#[repr(transparent)]
pub(super) struct Stream(pub(super) *const File);

// SAFETY: the pointer is to a static that is Sync itself.
unsafe impl Sync for Stream {}

/// What stands for `stdin` where there is nothing to read: neither can it be written to.
#[cfg(not(feature = "posix"))]
static STDIN: Console = Console::new(0);

#[cfg(not(feature = "posix"))]
#[allow(non_upper_case_globals)]
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
static stdin: Stream = Stream((&raw const STDIN).cast());

#[allow(non_upper_case_globals)]
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) static stdout: Stream = Stream((&raw const STDOUT).cast());
#[allow(non_upper_case_globals)]
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
static stderr: Stream = Stream((&raw const STDERR).cast());

impl Stream {
    fn file(&self) -> &File {
        // SAFETY: C code has streams from the variables above or from functions that opened them.
        unsafe { &*self.0 }
    }

    /// Sends bytes, and says how many.
    #[cfg(feature = "posix")]
    fn put(&self, bytes: &[u8]) -> usize {
        // SAFETY: as above.
        unsafe { (self.file().kind.put)(self.0, bytes) }
    }

    /// Sends bytes, and says how many.
    #[cfg(not(feature = "posix"))]
    fn put(&self, bytes: &[u8]) -> usize {
        if core::ptr::eq(self.0, &raw const STDIN.file) {
            errno::set(errno::EBADF);
            return 0;
        }
        // SAFETY: one of the other two.
        unsafe { put_on_console(self.0, bytes) }
    }
}

/// What is formatted goes to a stream.
struct To<'a> {
    stream: &'a Stream,
    failed: bool,
}

impl Sink for To<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.failed |= self.stream.put(bytes) < bytes.len();
    }
}

/// Sends what is buffered for the console; 0.
#[inline(never)]
pub(super) fn flush_console() -> c_int {
    for console in [&STDOUT, &STDERR] {
        if let Some(mut line) = console.line.try_lock() {
            line.flush();
        }
    }
    0
}

/// Sends what is buffered: 0, or EOF if a stream fails. Called before the domain ends, which a thread that uses a
/// stream must not delay: streams in use are passed over. (Waiting for one would also be unsound, since its user may
/// close it and free the lock that is waited for.)
#[cfg(feature = "posix")]
#[inline(never)]
pub(super) fn flush_all() -> c_int {
    let mut answer = flush_console();
    let mut stream = OPENED.load(Ordering::Relaxed).cast_const();
    while !stream.is_null() {
        // SAFETY: those in the list are open. One that is flushed is locked, so that nobody closes it meanwhile, and
        // nobody else runs between that and the look at the next one.
        unsafe {
            answer |= ((*stream).kind.flush)(stream, false);
            stream = (*stream).next.load(Ordering::Relaxed);
        }
    }
    answer
}

/// Without files there are no other streams.
#[cfg(not(feature = "posix"))]
pub(super) use flush_console as flush_all;

/// A NULL stream means all of them, but for those that are in use.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) extern "C" fn fflush(stream: Stream) -> c_int {
    #[cfg(feature = "posix")]
    if !stream.0.is_null() {
        // SAFETY: the stream is open.
        return unsafe { (stream.file().kind.flush)(stream.0, true) };
    }
    let _ = stream;
    flush_all()
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) extern "C" fn fileno(stream: Stream) -> c_int {
    #[cfg(feature = "posix")]
    return stream.file().fd.get();
    #[cfg(not(feature = "posix"))]
    [&STDIN, &STDOUT, &STDERR]
        .iter()
        .position(|console| core::ptr::eq(&raw const console.file, stream.0))
        .map_or(-1, |fd| fd as c_int)
}

/// The console never fails.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) extern "C" fn ferror(stream: Stream) -> c_int {
    stream.file().has(ERROR).into()
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn fwrite(
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
    match stream.put(bytes) {
        n if n == bytes.len() => count,
        n => n / size,
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) extern "C" fn fputc(byte: c_int, stream: Stream) -> c_int {
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
    if stream.put(&[byte as u8]) == 1 { c_int::from(byte as u8) } else { EOF }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn fputs(s: *const c_char, stream: Stream) -> c_int {
    // SAFETY: `s` is a C string.
    let bytes = unsafe { cstr::bytes(s) };
    if stream.put(bytes) == bytes.len() { 0 } else { EOF }
}

/// What glibc's `putc_unlocked` calls where the buffer is full.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn __overflow(stream: Stream, byte: c_int) -> c_int {
    put_byte(byte, &stream)
}

/// Defines functions by another name: what needs a lock takes it.
macro_rules! calls {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty = $other:ident;)*) => {$(
        #[cfg_attr(feature = "symbols", unsafe(no_mangle))]
        unsafe extern "C" fn $name($($argument: $type),*) -> $result {
            // SAFETY: the contract is the same.
            #[allow(unused_unsafe)]
            unsafe {
                $other($($argument),*)
            }
        }
    )*};
}

calls! {
    ferror_unlocked(stream: Stream) -> c_int = ferror;
    fflush_unlocked(stream: Stream) -> c_int = fflush;
    fileno_unlocked(stream: Stream) -> c_int = fileno;
    fputc_unlocked(byte: c_int, stream: Stream) -> c_int = fputc;
    fputs_unlocked(text: *const c_char, stream: Stream) -> c_int = fputs;
    fwrite_unlocked(from: *const c_void, size: usize, n: usize, stream: Stream) -> usize = fwrite;
    putc_unlocked(byte: c_int, stream: Stream) -> c_int = fputc;
    putchar_unlocked(byte: c_int) -> c_int = putchar;
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
    for part in [s, if s.is_empty() { b"" } else { b": " }, text, b"\n"] {
        stderr.put(part);
    }
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
    unsafe { print_by_piece(stdout.0, format, &mut *args) }
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
    unsafe { print_by_piece(stdout.0, format, &mut *args) }
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
    // SAFETY: as the caller says.
    unsafe {
        #[cfg(feature = "posix")]
        return (stream.file().kind.print)(stream.0, format, &mut *args);
        #[cfg(not(feature = "posix"))]
        print_by_piece(stream.0, format, &mut *args)
    }
}

/// # Safety
///
/// That of [`printf::format`]; the stream is open.
unsafe fn print_by_piece(stream: *const File, format: *const c_char, args: &mut VaList) -> c_int {
    let stream = &Stream(stream);
    let mut to = To { stream, failed: false };
    // SAFETY: as the caller says.
    let n = unsafe { printf::format(&mut to, format, args) };
    if to.failed { EOF } else { n }
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
