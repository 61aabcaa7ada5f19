//! Fails on demand.

use mirust::ocaml::{BoxRoot, Closure, OCamlRuntime};

/// Panics, with something to drop on the way.
#[mirust::export]
fn fail(message: String) -> isize {
    let kept = vec![message.clone(); 10];
    assert!(kept.is_empty(), "{message}");
    0
}

/// -1 if the closure raised.
#[mirust::export]
fn catch(ocaml: &mut OCamlRuntime, f: BoxRoot<fn(isize) -> isize>, n: isize) -> isize {
    f.call(ocaml, (n,)).map_or(-1, |result| result.to_i64() as isize)
}

/// Panics in a task.
#[mirust::export]
fn fail_in_task(_: ()) {
    mirust::spawn(async { panic!("in a task") });
}
