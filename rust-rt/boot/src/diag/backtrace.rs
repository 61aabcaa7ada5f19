//! Walking the stack with libgcc's unwinder, through the frames of both languages.

use super::symbols::{Name, Symbols};
use crate::{console, layout};
use core::ffi::{c_int, c_void};

/// Lines that are printed. A frame that repeats the one before takes none.
const MAX_LINES: usize = 40;

#[repr(C)]
struct Context {
    private: [u8; 0],
}

// SAFETY: the types are those of the unwinder's ABI (`unwind.h`).
unsafe extern "C" {
    fn _Unwind_Backtrace(
        callback: extern "C" fn(*mut Context, *mut c_void) -> c_int,
        data: *mut c_void,
    ) -> c_int;
    fn _Unwind_GetIPInfo(context: *mut Context, before_instruction: *mut c_int) -> u64;
}

const CONTINUE: c_int = 0;
/// `_URC_NORMAL_STOP`.
const STOP: c_int = 4;

struct Walk {
    /// Frames are left out until this address is met; 0 when it has been.
    from: u64,
    /// The address of the last line.
    last: u64,
    /// How often it came again.
    repeated: usize,
    frames: usize,
    lines: usize,
}

/// Prints the frames from here outwards, or, when `from` is not 0, from the one that runs at the
/// address `from`.
pub fn print(from: u64) {
    let mut walk = Walk { from, last: 0, repeated: 0, frames: 0, lines: 0 };
    // SAFETY: the callback gets the same `walk`, which outlives the call. The unwinder only reads
    // the stack, as the unwind tables of the image tell it.
    unsafe { _Unwind_Backtrace(frame, (&raw mut walk).cast()) };
    walk.end_repetition();
}

/// Prints a line for each of these return addresses.
pub fn list(addresses: impl Iterator<Item = u64>) {
    let mut walk = Walk { from: 0, last: 0, repeated: 0, frames: 0, lines: 0 };
    for address in addresses {
        if walk.frame(address, 1) == STOP {
            break;
        }
    }
    walk.end_repetition();
}

extern "C" fn frame(context: *mut Context, walk: *mut c_void) -> c_int {
    let mut exact = 0;
    // SAFETY: called by the unwinder with a live context, and with the pointer that `print` passed.
    let (walk, ip) =
        unsafe { (&mut *walk.cast::<Walk>(), _Unwind_GetIPInfo(context, &raw mut exact)) };
    // A return address can be the first of the next function: the call is before it. The
    // instruction that trapped is exact.
    walk.frame(ip, u64::from(exact == 0))
}

impl Walk {
    fn frame(&mut self, ip: u64, back: u64) -> c_int {
        if self.from != 0 && self.from != ip {
            return CONTINUE;
        }
        self.from = 0;
        if ip == 0 {
            // The caller of the entry code.
            return STOP;
        }
        let number = self.frames;
        self.frames += 1;
        if ip == self.last {
            self.repeated += 1;
            return CONTINUE;
        }
        self.end_repetition();
        self.last = ip;
        self.lines += 1;
        if self.lines > MAX_LINES {
            console::print(format_args!("  ... and more\n"));
            return STOP;
        }
        match name(ip.wrapping_sub(back)) {
            Some((name, offset)) => {
                let offset = offset + back;
                console::print(format_args!("  #{number:<3} {ip:#010x} {name}+{offset:#x}\n"))
            }
            None => console::print(format_args!("  #{number:<3} {ip:#010x}\n")),
        }
        CONTINUE
    }

    fn end_repetition(&mut self) {
        if self.repeated > 0 {
            console::print(format_args!("       ... and {} more of it\n", self.repeated));
        }
        self.repeated = 0;
    }
}

/// The function that contains `address`, and the distance to its start. None outside the text,
/// and in an image without symbol table.
fn name(address: u64) -> Option<(Name, u64)> {
    let (text, table) = (layout::text(), layout::symbols());
    if !(text.start..text.end).contains(&address) {
        return None;
    }
    // SAFETY: the link script's bounds of a read-only segment.
    let bytes =
        unsafe { core::slice::from_raw_parts(table.start as *const u8, table.size() as usize) };
    Symbols::new(bytes).lookup(address)
}
