//! Memory that OCaml's collector can count on.
//!
//! A minor collection copies what lives to the major heap, and when that cannot grow OCaml ends the program: in the
//! middle of it there is nobody to raise an exception to. So as much as a collection can need is kept free:
//! nothing else is granted it (`mirust_mem::frames`), and what is refused before raises `Out_of_memory`, or is an
//! error in Rust. When a collection has dug into it, OCaml is sent a signal, whose handler
//! (`ocaml-stubs/archive/image/reserve.ml`) runs at the next place where an exception can be raised: it compacts
//! the heap, and raises `Out_of_memory` if that has not brought the memory back.
//!
//! On Unix the kernel keeps the memory, and there is nothing to do.

/// The signal: not for the files that it is meant for, which do not exist here.
#[cfg(feature = "xen")]
const SIGXFSZ: core::ffi::c_int = 25;

#[cfg(feature = "xen")]
mod domain {
    use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

    use mirust_rt::mem::{PAGE_SIZE, frames};

    /// Free pages below which OCaml is told: what is kept, or what there was when it was told last.
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

    /// Twice what a collection can need: the one that digs into it, and the next one, by whose end the program has
    /// heard of it and had the chance to let go of something. That is a ninth more than the minor heap, for what
    /// blocks of the major heap take besides; and some pools, since each of their sizes has its own.
    pub fn keep(minor: usize) -> usize {
        let stats = frames::stats();
        let pages = (2 * (minor / 8 * 9) + (256 << 10)).div_ceil(PAGE_SIZE);
        // Without so much there was no use in beginning.
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

    /// Growth from here on is told of again, and so is the next time that what is kept is dug into.
    pub fn listen() -> bool {
        let stats = frames::stats();
        TELL_BELOW.store(stats.kept.min(stats.free), Ordering::Relaxed);
        stats.kept < stats.free
    }
}

/// OCaml: as much as a minor heap of so many bytes can need is kept from now on. Returns the bytes of the domain's
/// memory, or 0 where nothing is kept because they are not ours.
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

/// OCaml: it knows that memory is short, and is told no more.
#[crate::export(noalloc, unsafe_symbol = "mirust_ocaml_memory_hush")]
fn hush(_: ()) -> isize {
    #[cfg(feature = "xen")]
    domain::hush();
    0
}

/// OCaml: it is told again from now on. Returns 1 if what is kept is there, else 0.
#[crate::export(noalloc, unsafe_symbol = "mirust_ocaml_memory_listen")]
fn listen(_: ()) -> isize {
    #[cfg(feature = "xen")]
    return isize::from(domain::listen());
    #[cfg(not(feature = "xen"))]
    return 1;
}
