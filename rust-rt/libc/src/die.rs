//! The end of a program that cannot go on.

use super::{host, stdio};
use core::fmt::Write;

/// Ends the domain as crashed, with the formatted reason.
pub(super) fn die(reason: core::fmt::Arguments) -> ! {
    struct Reason([u8; 200], usize);
    impl Write for Reason {
        fn write_str(&mut self, s: &str) -> core::fmt::Result {
            // What does not fit is cut off, between two characters.
            for c in s.chars() {
                let room = &mut self.0[self.1..];
                if room.len() < c.len_utf8() {
                    return Err(core::fmt::Error);
                }
                self.1 += c.encode_utf8(room).len();
            }
            Ok(())
        }
    }
    let mut text = Reason([0; 200], 0);
    let _ = text.write_fmt(reason);
    stdio::flush_console();
    (host::get().abort)(core::str::from_utf8(&text.0[..text.1]).unwrap_or("abort"))
}

/// Ends the domain: the only thread waits for something that only another thread could do.
pub(super) fn deadlock(function: &str) -> ! {
    die(format_args!("{function}: deadlock: nobody is there to end this wait"))
}
