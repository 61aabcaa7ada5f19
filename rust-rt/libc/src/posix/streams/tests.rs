//! The same calls on streams here and of the host's C library.

use std::ffi::CString;
use std::format;
use std::string::String;
use std::sync::{Mutex, MutexGuard};
use std::vec::Vec;

use super::super::{console, io, pipe, socket};
use super::calls::*;
use super::lines::*;
use super::memory::*;
use super::positions::*;
use super::{Opened, stdin};
use crate::errno;
use crate::stdio::{self, File, flush_all};
use core::ffi::{c_char, c_int, c_long, c_void};

/// The list of open streams is the process's, of which an image has one.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

// SAFETY: this crate defines them, under names that are not the host's.
unsafe extern "C" {
    #[link_name = "mirust_host_fprintf"]
    fn fprintf(stream: *const c_void, format: *const c_char, ...) -> c_int;
    #[link_name = "mirust_host_fscanf"]
    fn fscanf(stream: *const c_void, format: *const c_char, ...) -> c_int;
    #[link_name = "mirust_host_dprintf"]
    fn dprintf(fd: c_int, format: *const c_char, ...) -> c_int;
}

type Stream = *mut c_void;

/// One of two implementations.
struct C {
    host: bool,
    stream: Stream,
    trace: Vec<String>,
}

macro_rules! either {
    ($c:ident, $name:ident($($argument:expr),*)) => {{
        let stream = $c.stream;
        // SAFETY: a stream that is open, and arguments that last as long as the call.
        unsafe {
            if $c.host { host_libc::$name($($argument,)* stream.cast()) as i64 }
            else { $name($($argument,)* stream.cast_const().cast()) as i64 }
        }
    }};
    ($c:ident, $name:ident; $($argument:expr),*) => {{
        let stream = $c.stream;
        // SAFETY: as above.
        unsafe {
            if $c.host { host_libc::$name(stream.cast(), $($argument),*) as i64 }
            else { $name(stream.cast_const().cast(), $($argument),*) as i64 }
        }
    }};
}

/// The functions that every image has take their streams as a type of their own.
macro_rules! plain {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {$(
        #[allow(unused_unsafe)]
        unsafe fn $name($($argument: $type,)* stream: *const File) -> $result {
            // SAFETY: the contract is the same.
            unsafe { stdio::$name($($argument,)* stdio::Stream(stream)) }
        }
    )*};
}

plain! {
    ferror() -> c_int;
    fflush() -> c_int;
    fileno() -> c_int;
    fputc(byte: c_int) -> c_int;
    fwrite(from: *const c_void, size: usize, count: usize) -> usize;
}

impl C {
    fn note(&mut self, what: &str, result: impl core::fmt::Debug) {
        self.trace.push(format!("{what}: {result:?}"));
    }

    fn open(&mut self, path: &str, mode: &str) {
        let (path, mode) = (CString::new(path).unwrap(), CString::new(mode).unwrap());
        // SAFETY: C strings.
        self.stream = unsafe {
            match self.host {
                true => host_libc::fopen(path.as_ptr(), mode.as_ptr()).cast(),
                false => fopen(path.as_ptr(), mode.as_ptr()).cast_mut().cast(),
            }
        };
        let error = if self.stream.is_null() { self.error() } else { 0 };
        self.note("open", error);
    }

    fn error(&self) -> c_int {
        if self.host {
            std::io::Error::last_os_error().raw_os_error().unwrap()
        } else {
            errno::get()
        }
    }

    fn close(&mut self) {
        let result = either!(self, fclose());
        self.note("close", result);
    }

    fn read(&mut self, n: usize) {
        let mut buf = std::vec![0u8; n];
        let result = either!(self, fread(buf.as_mut_ptr().cast::<c_void>(), 1, n));
        buf.truncate(result as usize);
        self.note("read", String::from_utf8_lossy(&buf));
        self.state();
    }

    fn state(&mut self) {
        let (end, error) = (either!(self, feof()), either!(self, ferror()));
        self.note("state", (end != 0, error != 0));
    }

    fn write(&mut self, text: &[u8]) {
        let result = either!(self, fwrite(text.as_ptr().cast::<c_void>(), 1, text.len()));
        self.note("write", result);
    }

    fn byte(&mut self) {
        let result = either!(self, fgetc());
        self.note("byte", result);
    }

    fn back(&mut self, byte: u8) {
        let result = either!(self, ungetc(c_int::from(byte)));
        self.note("back", result);
    }

    fn put(&mut self, byte: u8) {
        let result = either!(self, fputc(c_int::from(byte)));
        self.note("put", result);
    }

    fn line(&mut self, n: c_int) {
        let mut buf = [7 as c_char; 64];
        let any = either!(self, fgets(buf.as_mut_ptr(), n)) != 0;
        self.note("line", any.then_some(&buf[..]).map(|buf| buf.to_vec()));
    }

    fn seek(&mut self, offset: c_long, whence: c_int) {
        let result = either!(self, fseek; offset, whence);
        self.note("seek", result);
        self.tell();
    }

    fn tell(&mut self) {
        let result = either!(self, ftell());
        self.note("tell", result);
    }

    fn flush(&mut self) {
        let result = either!(self, fflush());
        self.note("flush", result);
    }

    /// Where the descriptor is.
    fn offset(&mut self) {
        let fd = either!(self, fileno()) as c_int;
        let at = match self.host {
            // SAFETY: nothing is lent.
            true => unsafe { host_libc::lseek(fd, 0, 1) },
            false => io::lseek(fd, 0, 1),
        };
        self.note("offset", at);
    }

    /// Scans into three places.
    fn scan(&mut self, format: &str) {
        let text = CString::new(format).unwrap();
        let (mut to, stream) = (std::vec![[0x55u8; 5000]; 3], self.stream);
        // SAFETY: a stream, and room for what the formats name.
        let result = unsafe {
            let [a, b, c] = [0, 1, 2].map(|n| to[n].as_mut_ptr());
            if self.host {
                host_libc::fscanf(stream.cast(), text.as_ptr(), a, b, c)
            } else {
                fscanf(stream, text.as_ptr(), a, b, c)
            }
        };
        let used = to.iter().map(|to| to[..to.iter().position(|&c| c == 0x55).unwrap()].to_vec());
        let used: Vec<_> = used.collect();
        self.note(format, (result, used));
        self.state();
    }

    fn buffered(&mut self, mode: c_int, size: usize) {
        let result = either!(self, setvbuf; core::ptr::null_mut(), mode, size);
        self.note("setvbuf", result);
    }
}

/// Does the same with both, each with a directory of its own.
fn same(what: impl Fn(&mut C, &str)) {
    let _alone = alone();
    let dir = std::env::temp_dir().join(format!("mirust-streams-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let [ours, theirs] = [(false, "/tmp"), (true, dir.to_str().unwrap())].map(|(host, dir)| {
        let mut c = C { host, stream: core::ptr::null_mut(), trace: Vec::new() };
        what(&mut c, dir);
        c.trace
    });
    std::fs::remove_dir_all(&dir).unwrap();
    assert_eq!(ours, theirs, "ours, and the host's");
}

#[test]
fn what_is_written_is_read_and_places_are_those_of_the_host() {
    for (mode, size) in [(0, 0), (0, 16), (1, 0), (2, 0)] {
        same(|c, dir| {
            let path = format!("{dir}/a");
            c.open(&path, "w+");
            c.buffered(mode, size);
            c.write(b"one\ntwo\nthree");
            c.tell();
            c.put(b'!');
            c.seek(0, 0);
            c.read(5);
            c.back(b'W');
            c.back(b'w');
            c.tell();
            c.line(64);
            c.line(3);
            c.byte();
            c.seek(-2, 1);
            c.byte();
            // From reading to writing and back, in the middle of what was read ahead.
            c.seek(0, 1);
            c.write(b"HRE");
            c.flush();
            c.seek(-6, 2);
            c.read(100);
            c.byte();
            c.state();
            c.back(b'x');
            c.state();
            c.byte();
            c.write(&[b'y'; 9000]);
            c.seek(0, 2);
            c.seek(0, 0);
            c.read(9100);
            c.read(1);
            c.seek(-1, 0);
            c.close();
        });
    }
}

#[test]
fn modes_and_errors_are_those_of_the_host() {
    same(|c, dir| {
        let path = format!("{dir}/b");
        for mode in ["r", "r+", "", "q", "wx", "wx", "r"] {
            c.open(&path, mode);
            if !c.stream.is_null() {
                c.close();
            }
        }
        c.open(&path, "w");
        c.write(b"abc");
        c.byte();
        c.state();
        c.close();
        c.open(&path, "a");
        c.write(b"def");
        c.tell();
        c.close();
        c.open(&path, "a+e");
        c.read(2);
        c.write(b"g");
        c.seek(0, 0);
        c.read(10);
        c.close();
        c.open(&path, "rbm");
        c.put(b'x');
        c.state();
        c.line(1);
        c.line(64);
        c.line(64);
        c.state();
        c.close();
        c.open(dir, "r");
        c.byte();
        c.state();
        c.close();
        c.open(dir, "w");
    });
}

#[test]
fn places_at_the_beginning_and_the_end_are_those_of_the_host() {
    same(|c, dir| {
        let path = format!("{dir}/c");
        c.open(&path, "w");
        c.write(b"0123456789");
        c.close();
        // What is pushed back before the beginning is nowhere in the file.
        c.open(&path, "r");
        c.back(b'x');
        c.byte();
        c.tell();
        c.back(b'0');
        c.byte();
        c.close();
        c.open(&path, "r");
        c.back(b'x');
        c.close();
        c.open("/dev/zero", "r");
        c.byte();
        c.tell();
        c.close();
        for mode in ["a", "a+", "r+"] {
            c.open(&path, mode);
            c.tell();
            c.offset();
            c.write(b"!");
            c.tell();
            c.close();
        }
        // What was read ahead is given back.
        c.open(&path, "r+");
        c.read(2);
        c.flush();
        c.offset();
        c.line(4);
        c.back(b'4');
        c.flush();
        c.offset();
        c.read(3);
        c.seek(i64::MIN, 1);
        c.close();
    });
}

#[test]
fn what_is_scanned_is_as_long_as_the_host_has_it() {
    let words = format!("{} {}  42", "x".repeat(3000), "y".repeat(3000));
    let spaces = format!("{}7\n", " ".repeat(5000));
    let texts = [
        "42\n", "1,2,3", "1.5e3x", "1e", "1e-", "+", "0x", "0x1p", "inf", "infi", "na", "nan(",
        "abc", " ", "", "1 2\n", "-", &words, &spaces,
    ];
    let formats = [
        "%d",
        "%i",
        "%x",
        "%d,",
        "%lf",
        "%lf%c",
        "%4lf",
        "%s",
        "%c",
        "%2c",
        "%[a-z]",
        "%d%*c",
        "%d %d",
        "%d\n",
        "x",
        "%3000s %3000s%d",
        "%2000s%[^ ]",
        "%3d%d",
        "",
        "%n",
    ];
    for text in texts {
        for format in formats {
            // The host has its own ways with numbers that end too early.
            let unclear = text.ends_with(['e', '-', '+', 'x', 'p', 'i', '(', 'a']);
            if unclear && format != "x" && format.contains(['d', 'f', 'i', 'x']) {
                continue;
            }
            same(|c, dir| {
                // Octet by octet, long ones take their time.
                let modes = if text.len() > 99 && format != "%d" { &[0][..] } else { &[0, 2] };
                for &mode in modes {
                    c.open(&format!("{dir}/d"), "w+");
                    c.write(text.as_bytes());
                    c.seek(0, 0);
                    c.buffered(mode, 0);
                    for _ in 0..3 {
                        c.scan(format);
                        c.tell();
                    }
                    c.close();
                }
            });
        }
    }
}

#[test]
fn a_scan_does_not_wait_for_what_it_does_not_take() {
    let _alone = alone();
    let mut ends = [0; 2];
    let mut room = [0u64; 2];
    // SAFETY: two numbers; streams that are open, and room for what the formats name.
    unsafe {
        assert_eq!(pipe::pipe2(&raw mut ends, 0), 0);
        let from = fdopen(ends[0], c"r".as_ptr());
        for (text, format, taken) in [
            (c"42\n", c"%d%*c", 1),
            (c"x", c"%c", 1),
            (c"1e5 ", c"%lf%*c", 1),
            (c"1.5x", c"%lf%*c", 1),
            (c"word\n", c"%3s%*c%*c", 1),
            (c"7;", c"%d;", 1),
            (c"12x", c"%i%*c", 1),
            (c"no", c"%d", 0),
            (c"", c"%*2c", 0),
        ] {
            assert_eq!(
                dprintf(ends[1], c"%s".as_ptr(), text.as_ptr()),
                text.count_bytes() as c_int
            );
            // To wait would fail here, and so be an error of the stream.
            assert_eq!(fscanf(from.cast(), format.as_ptr(), room.as_mut_ptr()), taken, "{text:?}");
            assert_eq!((feof(from), ferror(from)), (0, 0), "{text:?}");
        }
        // What may go on does.
        for (text, format) in [
            (c"42", c"%d"),
            (c"1e", c"%lf"),
            (c"0x", c"%i"),
            (c"-", c"%d"),
            (c"in", c"%lf"),
            (c" ", c"%c "),
        ] {
            assert_eq!(
                dprintf(ends[1], c"%s".as_ptr(), text.as_ptr()),
                text.count_bytes() as c_int
            );
            fscanf(from.cast(), format.as_ptr(), room.as_mut_ptr());
            assert_eq!(ferror(from), 1, "{text:?}");
            clearerr(from);
            __fpurge(from);
        }
        assert_eq!((fclose(from), io::close(ends[1])), (0, 0));
    }
}

#[test]
fn nobody_waits_for_a_stream_that_is_in_use_when_all_are_flushed() {
    let _alone = alone();
    // SAFETY: C strings, and streams that are open.
    unsafe {
        let stream = fopen(c"/tmp/used".as_ptr(), c"w+".as_ptr());
        fprintf(stream.cast(), c"x".as_ptr());
        let opened = &*stream.cast::<Opened>();
        // As another thread has it, which nobody here could wait for.
        let lock = opened.lock.get();
        ((*lock).locked, (*lock).owner) = (1, 999);
        assert_eq!((flush_all(), io::lseek((*stream).fd.get(), 0, 1)), (0, 0));
        assert_eq!((fflush(core::ptr::null()), io::lseek((*stream).fd.get(), 0, 1)), (0, 0));
        (*lock).locked = 0;
        // As a task finds it in the middle of a call of the main thread's.
        opened.busy.set(true);
        assert_eq!((fputc(65, stream), errno::get()), (-1, errno::EDEADLK));
        assert_eq!((fclose(stream), errno::get(), flush_all()), (-1, errno::EDEADLK, 0));
        opened.busy.set(false);
        assert_eq!((flush_all(), io::lseek((*stream).fd.get(), 0, 1)), (0, 1));
        assert_eq!((fclose(stream), remove(c"/tmp/used".as_ptr())), (0, 0));
    }
}

#[test]
fn what_one_call_prints_is_one_piece() {
    let _alone = alone();
    let mut ends = [0; 2];
    // SAFETY: two numbers; streams that are open.
    unsafe {
        assert_eq!(socket::socketpair(1, 2, 0, &raw mut ends), 0); // AF_UNIX, SOCK_DGRAM
        let to = fdopen(ends[0], c"w".as_ptr());
        setbuf(to, core::ptr::null_mut());
        assert_eq!(fprintf(to.cast(), c"%d and %s".as_ptr(), 42, c"more".as_ptr()), 11);
        assert_eq!(dprintf(ends[0], c"%d and %s".as_ptr(), 43, c"more".as_ptr()), 11);
        let mut buf = [0; 32];
        for text in [b"42 and more", b"43 and more"] {
            assert_eq!((io::read_into(ends[1], &mut buf), &buf[..11]), (Ok(11), &text[..]));
        }
        assert_eq!((fclose(to), io::close(ends[1])), (0, 0));
        // More than a piece.
        let stream = with_text(&"x".repeat(5000));
        assert_eq!((fseek(stream, 0, 2), ftell(stream)), (0, 5000));
        let fd = (*stream).fd.get();
        assert_eq!((dprintf(fd, c"%4000d".as_ptr(), 1), io::lseek(fd, 0, 1)), (4000, 9000));
        assert_eq!(fclose(stream), 0);
    }
}

/// A stream with text in it, at its beginning.
fn with_text(text: &str) -> *const File {
    let stream = tmpfile();
    assert!(!stream.is_null());
    // SAFETY: a stream that is open, here and below.
    unsafe {
        assert_eq!(
            fprintf(stream.cast(), c"%s".as_ptr(), CString::new(text).unwrap().as_ptr()),
            text.len() as c_int
        );
        rewind(stream);
    }
    stream
}

#[test]
fn lines_are_as_long_as_they_are() {
    let _alone = alone();
    let long = "x".repeat(10_000);
    let stream = with_text(&format!("one\n\n{long}\nend"));
    let (mut line, mut size) = (core::ptr::null_mut(), 0);
    // SAFETY: a stream, and a block of `malloc`.
    unsafe {
        for wanted in ["one\n", "\n", &format!("{long}\n"), "end"] {
            let n = getline(&raw mut line, &raw mut size, stream);
            assert_eq!(n as usize, wanted.len());
            assert!(size > n as usize);
            assert_eq!(crate::cstr::bytes(line), wanted.as_bytes());
        }
        assert_eq!((getline(&raw mut line, &raw mut size, stream), feof(stream)), (-1, 1));
        assert_eq!(getline(core::ptr::null_mut(), &raw mut size, stream), -1);
        rewind(stream);
        assert_eq!(getdelim(&raw mut line, &raw mut size, c_int::from(b'e'), stream), 3);
        host_libc::free(line.cast());
        assert_eq!(fclose(stream), 0);
    }
}

#[test]
fn numbers_are_scanned_across_buffers() {
    let _alone = alone();
    let numbers: Vec<String> = (0..3000).map(|n| format!("{}", n * 7919)).collect();
    let stream = with_text(&format!("{} end x", numbers.join(" ")));
    let mut word = [0 as c_char; 8];
    // SAFETY: a stream, and what the formats name.
    unsafe {
        for n in 0..3000 {
            let mut number = -1;
            assert_eq!(fscanf(stream.cast(), c"%d".as_ptr(), &raw mut number), 1);
            assert_eq!(number, n * 7919);
        }
        assert_eq!(fscanf(stream.cast(), c"%d".as_ptr(), &raw mut word), 0);
        assert_eq!(fscanf(stream.cast(), c"%7s %*[x]".as_ptr(), word.as_mut_ptr()), 1);
        assert_eq!(&word[..4], [b'e', b'n', b'd', 0].map(|c| c as c_char));
        assert_eq!(fscanf(stream.cast(), c"%d".as_ptr(), &raw mut word), -1);
        assert_eq!(fclose(stream), 0);
    }
}

#[test]
fn a_pipe_has_no_place_and_gives_what_there_is() {
    let _alone = alone();
    let mut ends = [0; 2];
    // SAFETY: two numbers; streams that are open.
    unsafe {
        assert_eq!(pipe::pipe2(&raw mut ends, 0), 0);
        let (from, to) = (fdopen(ends[0], c"r".as_ptr()), fdopen(ends[1], c"w".as_ptr()));
        assert!(fdopen(ends[0], c"w".as_ptr()).is_null());
        assert_eq!(dprintf(ends[1], c"%s\n".as_ptr(), c"first".as_ptr()), 6);
        assert!(fdopen(99, c"r".as_ptr()).is_null());
        assert_eq!((ftell(from), errno::get()), (-1, errno::ESPIPE));
        assert_eq!(fprintf(to.cast(), c"%d\n%s".as_ptr(), 42, c"rest".as_ptr()), 7);
        // Nothing was written yet.
        assert_eq!(fflush(core::ptr::null()), 0);
        let mut buf = [0 as c_char; 16];
        for line in [&b"first\n"[..], b"42\n"] {
            assert_eq!(fgets(buf.as_mut_ptr(), 16, from), buf.as_mut_ptr());
            assert_eq!(crate::cstr::bytes(buf.as_ptr()), line);
        }
        assert_eq!(fclose(to), 0);
        assert_eq!(fread(buf.as_mut_ptr().cast(), 2, 8, from), 2);
        assert_eq!((feof(from), fclose(from)), (1, 0));
        assert_eq!((dprintf(ends[1], c"%d".as_ptr(), 1), errno::get()), (-1, errno::EBADF));
        assert_eq!((io::close(ends[0]), io::close(ends[1])), (-1, -1));
    }
}

#[test]
fn a_stream_goes_on_with_another_file() {
    let _alone = alone();
    // SAFETY: C strings, and streams that are open.
    unsafe {
        let stream = fopen(c"/tmp/first".as_ptr(), c"w".as_ptr());
        fprintf(stream.cast(), c"first".as_ptr());
        let fd = (*stream).fd.get();
        assert_eq!(freopen(c"/tmp/second".as_ptr(), c"w+".as_ptr(), stream), stream);
        assert_eq!((*stream).fd.get(), fd);
        fprintf(stream.cast(), c"second".as_ptr());
        assert_eq!(fclose(stream), 0);
        for (path, text) in [(c"/tmp/first", &b"first"[..]), (c"/tmp/second", b"second")] {
            let (mut buf, stream) = ([0u8; 16], fopen(path.as_ptr(), c"r".as_ptr()));
            let n = fread(buf.as_mut_ptr().cast(), 1, 16, stream);
            assert_eq!(&buf[..n], text);
            assert_eq!((fclose(stream), remove(path.as_ptr())), (0, 0));
        }
        assert!(freopen(c"/tmp/x".as_ptr(), c"w".as_ptr(), stdio::stdout.0).is_null());
        assert_eq!(errno::get(), errno::EOPNOTSUPP);
    }
}

#[test]
fn a_stream_that_has_no_other_file_is_closed() {
    let _alone = alone();
    // SAFETY: C strings, and streams that are open.
    unsafe {
        let stream = fopen(c"/tmp/third".as_ptr(), c"w".as_ptr());
        let fd = (*stream).fd.get();
        // The number is free for the new file.
        assert_eq!(io::close(fd), 0);
        assert_eq!(freopen(c"/tmp/third".as_ptr(), c"w+".as_ptr(), stream), stream);
        assert_eq!((fputc(65, stream), fflush(stream), ftell(stream)), (65, 0, 1));
        for (path, mode, error) in [
            (c"/tmp/none/x".as_ptr(), c"w", errno::ENOENT),
            (c"/tmp/third".as_ptr(), c"q", errno::EINVAL),
            (core::ptr::null(), c"w", errno::EBADF),
        ] {
            let stream = fopen(c"/tmp/third".as_ptr(), c"w".as_ptr());
            let fd = (*stream).fd.get();
            assert!(freopen(path, mode.as_ptr(), stream).is_null());
            assert_eq!((errno::get(), io::lseek(fd, 0, 1)), (error, -1));
        }
        assert_eq!(fclose(stream), 0);
        // What is written to standard input has somebody who flushes it.
        assert_eq!(freopen(c"/tmp/third".as_ptr(), c"w".as_ptr(), stdin.0), stdin.0);
        assert_eq!((fputc(65, stdin.0), io::lseek(0, 0, 1)), (65, 0));
        assert_eq!((flush_all(), io::lseek(0, 0, 1)), (0, 1));
        assert_eq!(freopen(c"/dev/null".as_ptr(), c"r".as_ptr(), stdin.0), stdin.0);
        assert_eq!(remove(c"/tmp/third".as_ptr()), 0);
    }
}

/// `fmemopen` on a buffer that begins with this text, and what is in it afterwards.
fn in_buffer(text: &str, mode: &str, what: impl Fn(&mut C)) {
    same(|c, _| {
        let mut buf = [b'.'; 12];
        buf[..text.len()].copy_from_slice(text.as_bytes());
        let mode = CString::new(mode).unwrap();
        // SAFETY: a buffer that outlives the stream, and a C string.
        c.stream = unsafe {
            match c.host {
                true => host_libc::fmemopen(buf.as_mut_ptr().cast(), 12, mode.as_ptr()).cast(),
                false => fmemopen(buf.as_mut_ptr(), 12, mode.as_ptr()).cast_mut().cast(),
            }
        };
        what(c);
        c.close();
        c.note("buffer", String::from_utf8_lossy(&buf).into_owned());
    });
}

#[test]
fn a_stream_on_a_buffer_is_that_of_the_host() {
    in_buffer("some text\n--", "r", |c| {
        c.read(4);
        c.seek(1, 1);
        c.line(64);
        c.seek(0, 2);
        c.byte();
        c.put(b'x');
        c.seek(2, 0);
        c.byte();
    });
    in_buffer("before", "w", |c| {
        c.write(b"abc");
        c.flush();
        c.write(b"def");
        c.tell();
        c.seek(1, 0);
        c.put(b'B');
        c.seek(0, 2);
        c.put(b'!');
    });
    in_buffer("before, now.", "r+", |c| {
        c.read(3);
        c.seek(0, 1);
        c.write(b"!!");
        c.flush();
        c.read(2);
    });
    in_buffer("one\0two", "a", |c| {
        c.tell();
        c.write(b"+1");
    });
}

#[test]
fn what_a_buffer_has_no_room_for_is_an_error() {
    let _alone = alone();
    let mut buf = [b'.'; 4];
    // SAFETY: a buffer that outlives the stream, and a C string.
    unsafe {
        let stream = fmemopen(buf.as_mut_ptr(), 4, c"w".as_ptr());
        assert_eq!(fwrite(c"12345".as_ptr().cast(), 1, 5, stream), 5);
        assert_eq!((fflush(stream), errno::get(), ferror(stream)), (-1, errno::ENOSPC, 1));
        assert_eq!((fclose(stream), &buf), (-1, b"1234"));
        // One of its own.
        let stream = fmemopen(core::ptr::null_mut(), 4, c"w+".as_ptr());
        assert_eq!(fwrite(c"12".as_ptr().cast(), 1, 2, stream), 2);
        assert_eq!((fseek(stream, 1, 0), fgetc(stream), fclose(stream)), (0, 50, 0));
    }
}

#[test]
fn a_stream_that_makes_a_block_is_that_of_the_host() {
    same(|c, _| {
        let (mut at, mut size) = (core::ptr::null_mut::<u8>(), 99usize);
        // SAFETY: both outlive the stream.
        c.stream = unsafe {
            match c.host {
                true => host_libc::open_memstream((&raw mut at).cast(), &raw mut size).cast(),
                false => open_memstream(&raw mut at, &raw mut size).cast_mut().cast(),
            }
        };
        // SAFETY: as many bytes as the stream has said, and a NUL.
        let block = |at: *const u8, size: usize| unsafe {
            (CString::from(std::ffi::CStr::from_ptr(at.cast())), size)
        };
        c.write(b"some text");
        c.flush();
        c.note("block", block(at, size));
        c.write(&[b'x'; 9000]);
        c.flush();
        c.note("block", block(at, size));
        c.seek(2, 0);
        c.put(b'!');
        c.flush();
        c.note("block", block(at, size));
        c.close();
        // glibc has a NUL behind that, where the block goes on here.
        c.note("block", (block(at, size).0.as_bytes()[..3].to_vec(), size));
        // SAFETY: both are of the host's `malloc`.
        unsafe { host_libc::free(at.cast()) };
    });
}

#[test]
fn what_is_appended_begins_at_the_end() {
    let _alone = alone();
    // SAFETY: C strings, and streams that are open.
    unsafe {
        let stream = with_text("text");
        let fd = io::dup((*stream).fd.get());
        assert_eq!((fflush(stream), io::lseek(fd, 0, 0)), (0, 0));
        let other = fdopen(fd, c"a".as_ptr());
        assert_eq!(ftell(other), 4);
        assert_eq!((fclose(other), fclose(stream)), (0, 0));
    }
}

#[test]
fn what_no_disk_has_room_for_is_an_error_at_the_latest_when_it_is_closed() {
    let _alone = alone();
    // SAFETY: C strings, and streams that are open.
    unsafe {
        let stream = fopen(c"/dev/null".as_ptr(), c"r".as_ptr());
        assert_eq!((fgetc(stream), feof(stream), ferror(stream)), (-1, 1, 0));
        assert_eq!(fputc(65, stream), -1);
        assert_eq!((errno::get(), ferror(stream)), (errno::EBADF, 1));
        clearerr(stream);
        assert_eq!((feof(stream), ferror(stream)), (0, 0));
        let other = fopen(c"/tmp/gone".as_ptr(), c"w".as_ptr());
        fprintf(other.cast(), c"x".as_ptr());
        assert_eq!(io::close((*other).fd.get()), 0);
        assert_ne!(flush_all(), 0);
        assert_eq!((fclose(other), fclose(stream)), (-1, 0));
        assert_eq!(remove(c"/tmp/gone".as_ptr()), 0);
        assert_eq!((remove(c"/tmp/gone".as_ptr()), errno::get()), (-1, errno::ENOENT));
    }
}

#[test]
fn standard_input_is_a_stream_on_the_console() {
    let _alone = alone();
    std::thread_local! {
        static LINES: core::cell::RefCell<Vec<Vec<u8>>> = const { core::cell::RefCell::new(Vec::new()) };
    }
    LINES.set(std::vec![b"two 3".to_vec(), b"one".to_vec()]);
    console::give_input(|_| {
        LINES.with_borrow_mut(Vec::pop).map_or(core::task::Poll::Pending, core::task::Poll::Ready)
    });
    let mut buf = [0 as c_char; 16];
    // SAFETY: a stream, and room for what is said.
    unsafe {
        assert_eq!(fgets(buf.as_mut_ptr(), 16, stdin.0), buf.as_mut_ptr());
        assert_eq!(crate::cstr::bytes(buf.as_ptr()), b"one\n");
        let mut number = 0;
        // What a line has is enough: nobody types another one.
        assert_eq!(fscanf(stdin.0.cast(), c"%s%d".as_ptr(), buf.as_mut_ptr(), &raw mut number), 2);
        assert_eq!((crate::cstr::bytes(buf.as_ptr()), number), (&b"two"[..], 3));
        assert_eq!(fputc(65, stdin.0), -1);
    }
}
