//! Every type that can be passed and returned.

use mirust::ocaml::{BoxRoot, Closure, OCaml, OCamlList, OCamlRuntime, ToOCaml};

#[mirust::export]
fn test_isize(n: isize) -> isize {
    n.wrapping_add(1)
}

#[mirust::export]
fn test_i64(n: i64) -> i64 {
    n.wrapping_neg()
}

#[mirust::export]
fn test_i32(n: i32) -> i32 {
    n.wrapping_mul(2)
}

#[mirust::export]
fn test_f64(x: f64) -> f64 {
    x / 2.0
}

#[mirust::export]
fn test_bool(b: bool) -> bool {
    !b
}

#[mirust::export]
fn test_unit(_: ()) {}

#[mirust::export(noalloc)]
fn test_noalloc(n: isize) -> isize {
    n + 1
}

#[mirust::export(name = "test_renamed")]
fn some_other_name(a: isize, b: isize, c: isize, d: isize, e: isize, f: isize) -> isize {
    a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f
}

#[mirust::export]
fn test_str(s: &str) -> isize {
    s.chars().count() as isize
}

#[mirust::export]
fn test_string(s: String) -> String {
    s.to_uppercase()
}

#[mirust::export]
fn test_vec(mut v: Vec<u8>) -> Vec<u8> {
    v.reverse();
    v
}

#[mirust::export]
fn test_list_sum(list: OCaml<'_, OCamlList<isize>>) -> isize {
    let list: Vec<i64> = list.to_rust();
    list.iter().sum::<i64>() as isize
}

/// Allocates, collects, and still has its rooted argument.
#[mirust::export]
fn test_rooted(
    ocaml: &mut OCamlRuntime,
    collect: BoxRoot<fn(()) -> ()>,
    s: BoxRoot<String>,
) -> OCaml<'_, String> {
    let garbage: Vec<BoxRoot<String>> = (0..100).map(|_| "x".to_boxroot(ocaml)).collect();
    drop(garbage);
    collect.call(ocaml, ((),)).expect("a collection");
    let back: String = s.get(ocaml).to_rust();
    format!("{back}, still").to_ocaml(ocaml)
}

#[mirust::export]
fn test_call(
    ocaml: &mut OCamlRuntime,
    f: BoxRoot<fn(String, isize, bool) -> String>,
    s: String,
) -> String {
    match f.call(ocaml, (s, 42, true)) {
        Ok(result) => result.to_rust(),
        Err(exception) => format!("exception: {exception}"),
    }
}

/// What came in, beside bytes that OCaml allocates for.
#[mirust::export]
fn test_beside(value: OCaml<'_, String>, n: isize) -> (Vec<u8>, OCaml<'_, String>) {
    (vec![b'x'; n as usize], value)
}

/// A list of what came in, for each of whose blocks OCaml allocates.
#[mirust::export]
fn test_many(value: OCaml<'_, String>, n: isize) -> Vec<(OCaml<'_, String>, Option<String>)> {
    (0..n).map(|i| (value, (i % 2 == 0).then(|| i.to_string()))).collect()
}
