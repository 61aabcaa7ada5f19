//! Panics where OCaml is not prepared for an exception.

#[mirust::export(noalloc)]
fn no_way_back(n: isize) -> isize {
    panics_below_ocaml(n)
}

#[inline(never)]
fn panics_below_ocaml(n: isize) -> isize {
    assert!(std::hint::black_box(n) < 0, "as the test wants");
    n
}
