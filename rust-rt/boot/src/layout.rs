//! Where the link script put the parts of the image.

use super::memory_map::Range;

macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident: $start:ident .. $end:ident;)*) => {
        // SAFETY: symbols of the link script; only their addresses are used.
        unsafe extern "C" {
            $( static $start: u8; static $end: u8; )*
        }
        $(
            $(#[$doc])*
            pub fn $name() -> Range {
                Range { start: &raw const $start as u64, end: &raw const $end as u64 }
            }
        )*
    };
}

parts! {
    /// All of it, from the text to the symbol table, in whole pages.
    image: __image_start .. __image_end;
    /// Machine code.
    text: __text_start .. __text_end;
    /// Constants, unwind tables, and the initial values of thread-local variables.
    rodata: __rodata_start .. __rodata_end;
    /// Variables.
    data: __data_start .. __data_end;
    /// Pages that stay unmapped.
    guard: __stack_guard .. __stack_bottom;
    /// The boot stack.
    stack: __stack_start .. __stack_top;
    /// The symbol table of the backtraces; may be empty.
    symbols: __symbols_start .. __symbols_end;
    /// Functions to call before `main`.
    init_array: __init_array_start .. __init_array_end;
    /// Initial values of thread-local variables.
    tls_image: __tdata_start .. __tdata_end;
    /// Room for thread-local variables, up to the thread pointer.
    tls_block: __tls_block .. __tls_pointer;
}
