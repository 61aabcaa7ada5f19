//! The rest of what a domain has: console, command line, random numbers, an exit.

use host_libc as libc;

use alloc::vec::Vec;

use crate::sys::{self, Errno, RawFd};

/// Writes all of `bytes` to standard output, the console of a process. Blocks if need be. Bytes
/// that nobody can take any more are dropped.
pub fn console_write(bytes: &[u8]) {
    write_all(libc::STDOUT_FILENO, bytes);
}

/// Writes all of `bytes` to standard error, like [`console_write`].
pub fn error_write(bytes: &[u8]) {
    write_all(libc::STDERR_FILENO, bytes);
}

fn write_all(fd: RawFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match sys::write(fd, bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::INTR) => (),
            // The descriptor was non-blocking when this process started.
            Err(Errno::AGAIN) => {
                let _ = sys::ppoll(fd, libc::POLLOUT, None);
            }
            Err(_) => return,
        }
    }
}

/// Bytes that `malloc` has given out, which is where Rust's come from as well.
pub fn allocated() -> usize {
    sys::allocated()
}

/// Fills `buf` from the kernel's generator, which is fit for keys.
///
/// # Panics
///
/// If the kernel has none (before Linux 3.17).
pub fn random(buf: &mut [u8]) {
    let mut filled = 0;
    while filled < buf.len() {
        match sys::getrandom(&mut buf[filled..]) {
            Ok(n) => filled += n,
            Err(Errno::INTR) => (),
            Err(error) => panic!("getrandom: {error}"),
        }
    }
}

/// The process's arguments without its name, joined by spaces: the form in which Xen gives a
/// domain its command line. An argument with white space or a quote in it stands in double quotes, and `"` and `\`
/// in it after a `\`. Empty without a `/proc` to ask.
pub fn command_line() -> Vec<u8> {
    let raw = read_file(c"/proc/self/cmdline").unwrap_or_default();
    join_arguments(&raw)
}

/// Joins arguments, each of which ends in a zero byte, but the first.
fn join_arguments(raw: &[u8]) -> Vec<u8> {
    let mut line = Vec::new();
    let raw = raw.strip_suffix(&[0]).unwrap_or(raw);
    for arg in raw.split(|&byte| byte == 0).skip(1) {
        if !line.is_empty() {
            line.push(b' ');
        }
        let special = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'"' | b'\'' | b'\\');
        if !arg.is_empty() && !arg.iter().any(special) {
            line.extend_from_slice(arg);
            continue;
        }
        line.push(b'"');
        for byte in arg {
            if matches!(byte, b'"' | b'\\') {
                line.push(b'\\');
            }
            line.push(*byte);
        }
        line.push(b'"');
    }
    line
}

fn read_file(path: &core::ffi::CStr) -> Result<Vec<u8>, Errno> {
    let file = sys::open_read(path)?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 512];
    loop {
        match sys::read(file.raw(), &mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
            Err(Errno::INTR) => (),
            Err(error) => return Err(error),
        }
    }
}

/// Ends the process with a status; exit functions of the C library run first.
pub fn exit(code: i32) -> ! {
    sys::exit(code)
}

#[cfg(test)]
mod tests {
    use super::join_arguments;

    #[test]
    fn arguments_are_joined_and_quoted_where_needed() {
        assert_eq!(join_arguments(b"prog\0"), b"");
        assert_eq!(join_arguments(b""), b"");
        assert_eq!(join_arguments(b"prog\0--ip=10.0.0.2/24\0-v\0"), b"--ip=10.0.0.2/24 -v");
        assert_eq!(join_arguments(b"prog\0two words\0\0"), br#""two words" """#);
        assert_eq!(join_arguments(b"prog\0say=\"hi\"\0a\\b\0"), br#""say=\"hi\"" "a\\b""#);
        assert_eq!(join_arguments(b"prog\0it's\0a\tb\0c\nd\0"), b"\"it's\" \"a\tb\" \"c\nd\"");
        assert_eq!(join_arguments(b"prog\0caf\xe9\0"), b"caf\xe9");
    }
}
