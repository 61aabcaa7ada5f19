//! Streams of C's: by all names of `scanf`, and at the program's end, while a thread reads from one.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::io::Read;
use std::ptr::{self, null_mut};
use std::time::Duration;

use super::Outcome;

// SAFETY: the types are those of the C library.
unsafe extern "C" {
    fn pipe(ends: *mut [c_int; 2]) -> c_int;
    fn fdopen(fd: c_int, mode: *const c_char) -> *mut c_void;
    fn fgets(line: *mut c_char, room: c_int, stream: *mut c_void) -> *mut c_char;
    fn fputs(text: *const c_char, stream: *mut c_void) -> c_int;
    fn fflush(stream: *mut c_void) -> c_int;
    fn fopen(path: *const c_char, mode: *const c_char) -> *mut c_void;
    fn fclose(stream: *mut c_void) -> c_int;
    fn dup(fd: c_int) -> c_int;
    fn _exit(status: c_int) -> !;
    fn __isoc99_vfscanf(stream: *mut c_void, format: *const c_char, args: *mut VaList) -> c_int;
    fn __isoc23_vfscanf(stream: *mut c_void, format: *const c_char, args: *mut VaList) -> c_int;
    fn __isoc99_vsscanf(text: *const c_char, format: *const c_char, args: *mut VaList) -> c_int;
    fn __isoc23_vsscanf(text: *const c_char, format: *const c_char, args: *mut VaList) -> c_int;
    fn __isoc99_vscanf(format: *const c_char, args: *mut VaList) -> c_int;
    fn __isoc23_vscanf(format: *const c_char, args: *mut VaList) -> c_int;
}

/// C's `va_list`, of which all that is passed in registers was taken: the rest is in memory.
#[repr(C)]
struct VaList {
    integers: u32,
    numbers: u32,
    rest: *const *mut c_int,
    registers: *const c_void,
}

/// Calls one of C's functions with a list of two pointers, and returns its result and the sum of what these point to
/// then.
fn scanned(call: impl FnOnce(*mut VaList) -> c_int) -> (c_int, c_int) {
    let (mut first, mut second) = (0, 0);
    let rest = [&raw mut first, &raw mut second];
    let (integers, numbers) = (6 * 8, 6 * 8 + 8 * 16);
    let mut list = VaList { integers, numbers, rest: rest.as_ptr(), registers: ptr::null() };
    let result = call(&raw mut list);
    (result, first + second)
}

/// The headers of C's library, by the language's version, call its functions by these names.
fn scan_by_all_names() {
    let format = c"%d,%d".as_ptr();
    // SAFETY: C strings, and a list of two pointers to integers.
    unsafe {
        assert_eq!(scanned(|list| __isoc99_vsscanf(c"1,2".as_ptr(), format, list)), (2, 3));
        assert_eq!(scanned(|list| __isoc23_vsscanf(c"3,4".as_ptr(), format, list)), (2, 7));
        let stream = fopen(c"/tmp/numbers".as_ptr(), c"w+".as_ptr());
        assert!(!stream.is_null() && fputs(c"5,6 7,8 ".as_ptr(), stream) >= 0);
        assert_eq!(fclose(stream), 0);
        let stream = fopen(c"/tmp/numbers".as_ptr(), c"r".as_ptr());
        assert_eq!(scanned(|list| __isoc99_vfscanf(stream, format, list)), (2, 11));
        assert_eq!(scanned(|list| __isoc23_vfscanf(stream, format, list)), (2, 15));
        assert_eq!(fclose(stream), 0);
        // Nobody types anything here.
        assert_eq!(scanned(|list| __isoc99_vscanf(format, list)), (-1, 0));
        assert_eq!(scanned(|list| __isoc23_vscanf(format, list)), (-1, 0));
    }
}

/// Leaves text to be written in a stream on the console, which is a file to it.
pub(crate) fn leave_text(text: &CStr) {
    // SAFETY: a descriptor of its own, and C strings.
    unsafe {
        let stream = fdopen(dup(1), c"w".as_ptr());
        assert!(fputs(text.as_ptr(), stream) >= 0);
    }
}

/// Ends without what is still to be written.
pub(crate) fn end_at_once() -> ! {
    println!("the end");
    leave_text(c"what _exit does not write");
    // SAFETY: as POSIX has it.
    unsafe { _exit(0) }
}

/// Leaves a thread that waits for a line which nobody writes. The other streams are flushed all the same.
pub(crate) fn run() -> Outcome {
    scan_by_all_names();
    let stream = |mode: &'static CStr| {
        let mut ends = [0; 2];
        // SAFETY: two numbers, one of which a stream is made of, and a C string.
        unsafe {
            assert_eq!(pipe(&raw mut ends), 0);
            let own = usize::from(mode == c"w");
            let stream = fdopen(ends[own], mode.as_ptr());
            assert!(!stream.is_null());
            (stream.expose_provenance(), ends[1 - own])
        }
    };
    let ((from, _), (to, other)) = (stream(c"r"), stream(c"w"));
    std::thread::spawn(move || {
        let mut line = [0; 8];
        // SAFETY: room for that many octets, and a stream that is open.
        unsafe { fgets(line.as_mut_ptr(), 8, ptr::with_exposed_provenance_mut(from)) };
        unreachable!("nobody has written a line");
    });
    std::thread::sleep(Duration::from_millis(1));
    // SAFETY: a stream that is open and a C string; NULL is all streams. The descriptor is nobody else's.
    unsafe {
        assert!(fputs(c"text".as_ptr(), ptr::with_exposed_provenance_mut(to)) >= 0);
        assert_eq!(fflush(null_mut()), 0);
        let mut text = [0; 4];
        <std::fs::File as std::os::fd::FromRawFd>::from_raw_fd(other).read_exact(&mut text)?;
        assert_eq!(&text, b"text");
    }
    Ok(())
}
