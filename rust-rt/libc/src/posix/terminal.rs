//! Terminal calls. There is no terminal: the console counts as a pipe. A program that asks gets ENOTTY, and does
//! without colours, line editing and password prompts.

use core::ffi::{c_char, c_int, c_uint};

use super::answer::status;
use super::parts::{Errno, Result};
use super::table;
use crate::errno::{self, ENOTTY};

/// `struct termios`.
#[repr(C)]
pub(super) struct Modes {
    input: c_uint,
    output: c_uint,
    control: c_uint,
    local: c_uint,
    line: u8,
    characters: [u8; 32],
    speeds: [c_uint; 2],
}

/// ENOTTY, or EBADF.
fn no_terminal(fd: c_int) -> Result {
    table::get(fd).and(Err(Errno(ENOTTY)))
}

/// Defines calls on a terminal.
macro_rules! calls {
    ($($name:ident($($type:ty),*);)*) => {$(
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub(super) extern "C" fn $name(fd: c_int $(, _: $type)*) -> c_int {
            status(no_terminal(fd))
        }
    )*};
}

calls! {
    tcgetattr(*mut Modes);
    tcsetattr(c_int, *const Modes);
    tcdrain();
    tcflow(c_int);
    tcflush(c_int);
    tcgetpgrp();
    tcgetsid();
    tcsendbreak(c_int);
    tcsetpgrp(c_int);
}

/// Unlike most calls, this one returns the error.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn ttyname_r(fd: c_int, _name: *mut c_char, _size: usize) -> c_int {
    no_terminal(fd).map_or_else(|Errno(error)| error, |()| 0)
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) extern "C" fn ttyname(fd: c_int) -> *mut c_char {
    errno::set(ttyname_r(fd, core::ptr::null_mut(), 0));
    core::ptr::null_mut()
}

/// What a program asks for before it sets a terminal's modes: bytes as they come, one at a time. The numbers are those
/// of asm-generic/termbits.h.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn cfmakeraw(modes: *mut Modes) {
    /// Breaks, parity, eighth bits, ends of lines, flow control.
    const INPUT: c_uint = 0o1 | 0o2 | 0o10 | 0o40 | 0o100 | 0o200 | 0o400 | 0o2000;
    /// Processing of output.
    const OUTPUT: c_uint = 0o1;
    /// Signals, lines, echo, extensions.
    const LOCAL: c_uint = 0o1 | 0o2 | 0o10 | 0o100 | 0o100_000;
    /// Bits of a character, of which there are to be eight; parity.
    const CONTROL: c_uint = 0o60 | 0o400;
    const EIGHT: c_uint = 0o60;
    /// Places of the characters that say how long to wait, and for how many.
    const TIME_AND_LEAST: [usize; 2] = [5, 6];
    // SAFETY: readable and writable by contract.
    let modes = unsafe { &mut *modes };
    modes.input &= !INPUT;
    modes.output &= !OUTPUT;
    modes.local &= !LOCAL;
    modes.control = modes.control & !CONTROL | EIGHT;
    for (place, value) in TIME_AND_LEAST.into_iter().zip([0, 1]) {
        modes.characters[place] = value;
    }
}

#[cfg(test)]
mod tests {
    use super::super::pipe::pipe;
    use super::*;
    use crate::errno::EBADF;
    use core::mem::{offset_of, zeroed};

    #[test]
    fn a_pipe_is_none_as_on_the_host() {
        let mut ours = [0; 2];
        let mut theirs = [0; 2];
        // SAFETY: both arrays take two descriptors, and the structures are writable, here and below.
        unsafe {
            assert_eq!((pipe(&raw mut ours), host_libc::pipe(theirs.as_mut_ptr())), (0, 0));
            let mut modes = zeroed::<Modes>();
            let mut hosts = zeroed::<host_libc::termios>();
            for (fd, host, error) in [(ours[0], theirs[0], ENOTTY), (-1, -1, EBADF)] {
                let host_error = || std::io::Error::last_os_error().raw_os_error();
                assert_eq!((tcgetattr(fd, &raw mut modes), errno::get()), (-1, error));
                assert_eq!(host_libc::tcgetattr(host, &raw mut hosts), -1);
                assert_eq!(host_error(), Some(error));
                assert_eq!((tcsetattr(fd, 0, &raw const modes), errno::get()), (-1, error));
                assert_eq!(host_libc::tcsetattr(host, 0, &raw const hosts), -1);
                assert_eq!(host_error(), Some(error));
                assert_eq!(ttyname_r(fd, core::ptr::null_mut(), 0), error);
                assert!(ttyname(fd).is_null());
            }
            for fd in ours {
                super::super::io::close(fd);
            }
            for fd in theirs {
                host_libc::close(fd);
            }
        }
    }

    #[test]
    fn raw_modes_are_the_hosts() {
        assert_eq!(size_of::<Modes>(), size_of::<host_libc::termios>());
        assert_eq!(offset_of!(Modes, characters), offset_of!(host_libc::termios, c_cc));
        for byte in [0x00, 0xff, 0x5a] {
            let mut both = [[byte; size_of::<Modes>()]; 2];
            // SAFETY: any bytes are a value of either structure, and the arrays are copied in and out of aligned ones.
            unsafe {
                let mut ours = both[0].as_ptr().cast::<Modes>().read_unaligned();
                cfmakeraw(&raw mut ours);
                both[0].as_mut_ptr().cast::<Modes>().write_unaligned(ours);
                let mut theirs = both[1].as_ptr().cast::<host_libc::termios>().read_unaligned();
                host_libc::cfmakeraw(&raw mut theirs);
                both[1].as_mut_ptr().cast::<host_libc::termios>().write_unaligned(theirs);
            }
            // The speeds are not part of it, and padding is nobody's.
            let words =
                |bytes: &[u8; size_of::<Modes>()]| bytes[..offset_of!(Modes, speeds) - 3].to_vec();
            assert_eq!(words(&both[0]), words(&both[1]));
        }
    }
}
