//! The command line, and what is known of the memory.

use super::{UNIT, Value, enter, of_int};
use crate::platform;

/// Bytes in an OCaml word.
const WORD: u64 = 8;

fn words(bytes: u64) -> Value {
    of_int((bytes / WORD) as isize)
}

/// `external cmd_line : unit -> string`
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn mirage_xen_get_cmdline(_: Value) -> Value {
    // SAFETY: OCaml calls, so we may allocate; the frame has nothing to drop.
    unsafe {
        enter(|| {
            let line = platform::command_line();
            Ok(ocaml_sys::caml_alloc_initialized_string(line.len(), line.as_ptr().cast()))
        })
    }
}

/// `external get_heap_words : unit -> int [@@noalloc]`: all memory of the domain.
#[unsafe(no_mangle)]
extern "C" fn mirage_memory_get_heap_words(_: Value) -> Value {
    words(platform::mem_stats().total)
}

/// `external get_live_words : unit -> int [@@noalloc]`: what is allocated, by both languages.
#[unsafe(no_mangle)]
extern "C" fn mirage_memory_get_live_words(_: Value) -> Value {
    let stats = platform::mem_stats();
    words(stats.heap + stats.mapped)
}

/// `external get_fast_live_words : unit -> int [@@noalloc]`: the same, which costs no more.
#[unsafe(no_mangle)]
extern "C" fn mirage_memory_get_fast_live_words(v_unit: Value) -> Value {
    mirage_memory_get_live_words(v_unit)
}

/// `external get_stack_words : unit -> int [@@noalloc]`: what C and Rust use of the stack. OCaml's own is
/// on the heap.
#[unsafe(no_mangle)]
extern "C" fn mirage_memory_get_stack_words(_: Value) -> Value {
    let here = 0u8;
    words(platform::stack_used((&raw const here) as usize) as u64)
}

/// `external trim : unit -> unit [@@noalloc]`. Memory that is freed is there for everyone at once, so that there
/// is nothing to be done.
#[unsafe(no_mangle)]
extern "C" fn mirage_trim_allocation(_: Value) -> Value {
    UNIT
}
