//! The pace of OCaml's collector: see `ocaml-stubs/mirust/collect.mli`.

/// OCaml: the next slice of the collector is to call for the work of a whole cycle.
#[crate::export(noalloc, unsafe_symbol = "mirust_ocaml_gc_hurry")]
fn hurry(_: ()) -> isize {
    // SAFETY: the type is that of OCaml's `memory.h`, whose `mlsize_t` is a word.
    unsafe extern "C" {
        fn caml_adjust_gc_speed(resources: usize, max: usize);
    }
    // SAFETY: counts, and allocates nothing.
    unsafe { caml_adjust_gc_speed(1, 1) };
    0
}
