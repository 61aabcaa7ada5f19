//! The end of the program while a thread reads from a stream of C's.

use std::ffi::{c_char, c_int, c_void};
use std::io::Read;
use std::time::Duration;

use super::Outcome;

// SAFETY: the types are those of the C library.
unsafe extern "C" {
    fn pipe(ends: *mut [c_int; 2]) -> c_int;
    fn fdopen(fd: c_int, mode: *const c_char) -> *mut c_void;
    fn fgets(line: *mut c_char, room: c_int, stream: *mut c_void) -> *mut c_char;
    fn fputs(text: *const c_char, stream: *mut c_void) -> c_int;
    fn fflush(stream: *mut c_void) -> c_int;
}

/// Leaves a thread that waits for a line which nobody writes. The other streams are flushed all the same.
pub(crate) fn run() -> Outcome {
    let stream = |mode: &'static std::ffi::CStr| {
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
        unsafe { fgets(line.as_mut_ptr(), 8, std::ptr::with_exposed_provenance_mut(from)) };
        unreachable!("nobody has written a line");
    });
    std::thread::sleep(Duration::from_millis(1));
    // SAFETY: a stream that is open and a C string; NULL is all streams. The descriptor is nobody else's.
    unsafe {
        assert!(fputs(c"text".as_ptr(), std::ptr::with_exposed_provenance_mut(to)) >= 0);
        assert_eq!(fflush(std::ptr::null_mut()), 0);
        let mut text = [0; 4];
        <std::fs::File as std::os::fd::FromRawFd>::from_raw_fd(other).read_exact(&mut text)?;
        assert_eq!(&text, b"text");
    }
    Ok(())
}
