//! What the crossing benchmark calls.

use std::hint::black_box;

use mirust::ocaml::{BoxRoot, Closure, OCaml, OCamlRuntime, ToOCaml};

/// No boundary at all: a C function.
#[unsafe(no_mangle)]
extern "C" fn bench_noalloc(n: isize) -> isize {
    black_box(n) + 1
}

#[mirust::export(noalloc)]
fn bench_export_noalloc(n: isize) -> isize {
    black_box(n) + 1
}

#[mirust::export]
fn bench_export(n: isize) -> isize {
    black_box(n) + 1
}

#[mirust::export]
fn bench_export_rooted(v: BoxRoot<String>) -> isize {
    black_box(&v);
    1
}

#[mirust::export]
fn bench_export_bytes(bytes: &[u8]) -> isize {
    black_box(bytes).len() as isize
}

#[mirust::export]
fn bench_string(ocaml: &mut OCamlRuntime, s: String) -> OCaml<'_, String> {
    s.to_ocaml(ocaml)
}

#[mirust::export]
fn bench_panic(n: isize) -> isize {
    panic!("{n}")
}

/// Calls the closure `n` times.
#[mirust::export]
fn bench_callback(ocaml: &mut OCamlRuntime, f: BoxRoot<fn(isize) -> isize>, n: isize) -> isize {
    (0..n).map(|i| f.call(ocaml, (i,)).map_or(0, |r| r.to_i64() as isize)).sum()
}

/// Makes and drops `n` roots.
#[mirust::export]
fn bench_root(ocaml: &mut OCamlRuntime, v: BoxRoot<String>, n: isize) -> isize {
    (0..n).map(|_| black_box(v.get(ocaml).root()).get(ocaml).as_bytes().len() as isize).sum()
}
