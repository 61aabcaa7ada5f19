//! Calls OCaml, which has an exception that nobody catches.

use mirust::ocaml::{BoxRoot, Closure, with_runtime};

/// Calls the closure from a task.
#[mirust::export]
fn call_from_task(f: BoxRoot<fn(()) -> ()>) {
    mirust::spawn(async move { below_ocaml(&f) });
}

#[inline(never)]
fn below_ocaml(f: &BoxRoot<fn(()) -> ()>) {
    let called = with_runtime(|ocaml| f.call(ocaml, ((),)).is_ok());
    // Something is left to do, so that the call above is a call, and this function on the stack.
    std::hint::black_box(called.is_ok());
}
