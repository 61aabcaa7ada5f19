//! Walking the stack with libgcc's unwinder, through the frames of both languages.

use super::console;
use super::symbols::Symbols;
use crate::boot::layout;
use core::ffi::{c_int, c_void};

/// Frames that are printed; an endless recursion has more.
const MAX_FRAMES: usize = 40;

#[repr(C)]
struct Context {
    private: [u8; 0],
}

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
    frames: usize,
}

/// Prints the frames from here outwards, or, when `from` is not 0, from the one that runs at the
/// address `from`.
pub fn print(from: u64) {
    let mut walk = Walk { from, frames: 0 };
    // SAFETY: the callback gets the same `walk`, which outlives the call. The unwinder only reads
    // the stack, as the unwind tables of the image tell it.
    unsafe { _Unwind_Backtrace(frame, (&raw mut walk).cast()) };
}

extern "C" fn frame(context: *mut Context, walk: *mut c_void) -> c_int {
    let mut exact = 0;
    // SAFETY: called by the unwinder with a live context, and with the pointer that `print` passed.
    let (walk, ip) =
        unsafe { (&mut *walk.cast::<Walk>(), _Unwind_GetIPInfo(context, &raw mut exact)) };
    if walk.from != 0 && walk.from != ip {
        return CONTINUE;
    }
    walk.from = 0;
    if walk.frames == MAX_FRAMES {
        console::print(format_args!("  ... and more\n"));
        return STOP;
    }
    // A return address can be the first of the next function: the call is before it. The
    // instruction that trapped is exact.
    print_frame(walk.frames, ip, u64::from(exact == 0));
    walk.frames += 1;
    CONTINUE
}

/// Prints one frame; the function is looked up at `ip - back`.
fn print_frame(number: usize, ip: u64, back: u64) {
    match name(ip.wrapping_sub(back)) {
        Some((name, offset)) => {
            let offset = offset + back;
            console::print(format_args!("  #{number:<2} {ip:#010x} {name}+{offset:#x}\n"))
        }
        None => console::print(format_args!("  #{number:<2} {ip:#010x}\n")),
    }
}

/// The function that contains `address`, and the distance to its start. None outside of the text,
/// and in an image without symbol table.
fn name(address: u64) -> Option<(&'static str, u64)> {
    let (text, table) = (layout::text(), layout::symbols());
    if !(text.start..text.end).contains(&address) {
        return None;
    }
    // SAFETY: the link script's bounds of a read-only segment.
    let bytes =
        unsafe { core::slice::from_raw_parts(table.start as *const u8, table.size() as usize) };
    Symbols::new(bytes).lookup(address)
}
