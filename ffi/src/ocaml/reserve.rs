//! Memory that OCaml's collector can count on.
//!
//! A minor collection copies live blocks to the major heap, and if that cannot grow, OCaml ends the program: it cannot
//! raise an exception in the middle of a collection. So as much as a collection can need is reserved: no other
//! allocation gets it (`mirust_mem::frames`), and one that is refused for that raises `Out_of_memory`, or is an error
//! in Rust. When a collection has used some of the reserve, OCaml is sent a signal, whose handler
//! (`ocaml-stubs/archive/image/reserve.ml`) runs at the next point where an exception can be raised: it compacts the
//! heap, and raises `Out_of_memory` if that has not refilled the reserve.
//!
//! On Unix the kernel manages the memory, and there is nothing to do.

/// The signal, whose original meaning (file size limits) does not exist here.
#[cfg(feature = "xen")]
const SIGXFSZ: core::ffi::c_int = 25;

#[cfg(feature = "xen")]
mod domain {
    use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

    use mirust_rt::mem::{PAGE_SIZE, frames};

    /// Free pages below which OCaml is notified: the reserve, or what was free at the last notification.
    static TELL_BELOW: AtomicUsize = AtomicUsize::new(0);

    // SAFETY: the types are those of OCaml's `misc.h` and `signals.h`; the hooks are C11 atomics of one word.
    unsafe extern "C" {
        // `caml_timing_hook`: a function without arguments or result.
        static caml_minor_gc_begin_hook: AtomicPtr<()>;
        static caml_minor_gc_end_hook: AtomicPtr<()>;
        fn caml_record_signal(number: core::ffi::c_int);
    }

    extern "C" fn begins() {
        frames::set_urgent(true);
    }

    extern "C" fn ends() {
        frames::set_urgent(false);
        let free = frames::stats().free;
        if free < TELL_BELOW.load(Ordering::Relaxed) {
            // SAFETY: notes that it is pending, and allocates nothing.
            unsafe { caml_record_signal(super::SIGXFSZ) };
        }
    }

    /// For pools in a collection, since there are some for each size.
    const POOLS: usize = 128 << 10;

    /// The largest minor heap, in bytes, whose reserve is not more than a quarter of what is free.
    pub fn most() -> usize {
        (frames::stats().free / 4 * PAGE_SIZE / 2).saturating_sub(POOLS) / 9 * 8
    }

    /// Twice what a collection can need: for the one that uses the reserve, and the next one, by whose end the program
    /// has been notified and could release something. A collection can need a ninth more than the minor heap, for the
    /// overhead of blocks in the major heap, and some pools.
    pub fn keep(minor: usize) -> usize {
        let stats = frames::stats();
        let pages = (2 * (minor / 8 * 9 + POOLS)).div_ceil(PAGE_SIZE);
        // More than that only if OCaml did not take the smaller minor heap.
        let pages = pages.min(stats.free / 4);
        frames::keep(pages);
        TELL_BELOW.store(pages, Ordering::Relaxed);
        // SAFETY: OCaml's variables, which it reads before and after each minor collection and calls.
        unsafe {
            let hook = |f: extern "C" fn()| f as *mut ();
            caml_minor_gc_begin_hook.store(hook(begins), Ordering::Relaxed);
            caml_minor_gc_end_hook.store(hook(ends), Ordering::Relaxed);
        }
        stats.total * PAGE_SIZE
    }

    pub fn hush() {
        TELL_BELOW.store(0, Ordering::Relaxed);
    }

    /// From here on, growth is reported again, and so is the next use of the reserve.
    pub fn listen() -> bool {
        let stats = frames::stats();
        TELL_BELOW.store(stats.kept.min(stats.free), Ordering::Relaxed);
        stats.kept < stats.free
    }
}

/// OCaml: the bytes of the largest minor heap for which there is a reserve; of any size where nothing is reserved.
#[crate::export(noalloc, unsafe_symbol = "mirust_ocaml_memory_most")]
fn most(_: ()) -> isize {
    #[cfg(feature = "xen")]
    return domain::most() as isize;
    #[cfg(not(feature = "xen"))]
    return isize::MAX >> 1;
}

/// OCaml: from now on, what a minor heap of this many bytes can need is reserved. Returns the bytes of the domain's
/// memory, or 0 where nothing is reserved because we do not manage the memory.
#[crate::export(noalloc, unsafe_symbol = "mirust_ocaml_memory_keep")]
fn keep(minor: isize) -> isize {
    #[cfg(feature = "xen")]
    return domain::keep(minor.max(0) as usize) as isize;
    #[cfg(not(feature = "xen"))]
    return {
        let _ = minor;
        0
    };
}

/// OCaml: it knows that memory is short, and is not notified again.
#[crate::export(noalloc, unsafe_symbol = "mirust_ocaml_memory_hush")]
fn hush(_: ()) -> isize {
    #[cfg(feature = "xen")]
    domain::hush();
    0
}

/// OCaml: notifications are on again. Returns 1 if the reserve is full, otherwise 0.
#[crate::export(noalloc, unsafe_symbol = "mirust_ocaml_memory_listen")]
fn listen(_: ()) -> isize {
    #[cfg(feature = "xen")]
    return isize::from(domain::listen());
    #[cfg(not(feature = "xen"))]
    return 1;
}

/// OCaml: `Out_of_memory` was caught by nobody. Ends the program with this message and, in a domain, how much memory
/// there is. Does not return.
#[crate::export(unsafe_symbol = "mirust_ocaml_memory_exhausted")]
fn exhausted(message: &[u8]) -> isize {
    crate::platform::die_of_memory(core::str::from_utf8(message).unwrap_or("Out_of_memory"))
}
