//! Every type that can be passed and returned.

use mirust::ocaml::{
    BoxRoot, Closure, OCaml, OCamlBytes, OCamlFloat, OCamlInt, OCamlInt32, OCamlInt64, OCamlList,
    OCamlRuntime, ToOCaml,
};

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

/// Numbers, each in its own type.
#[mirust::export]
fn test_pass_numbers(
    ocaml: &mut OCamlRuntime,
    f: BoxRoot<fn(OCamlFloat, OCamlInt32, OCamlInt64) -> OCamlFloat>,
    g: BoxRoot<fn(OCamlInt, OCamlInt) -> OCamlInt>,
) -> f64 {
    let sum: f64 = f.call(ocaml, (1.5, i32::MIN, i64::MAX)).expect("a sum").to_rust();
    let difference: i64 = g.call(ocaml, (-7_i64, 5_i32)).expect("a difference").to_rust();
    sum + difference as f64
}

type Pair = (OCamlFloat, Option<String>);
type Outcome = Result<OCamlInt64, String>;
type Four = (OCamlInt, bool, String, OCamlBytes);
type Parts = fn(OCamlList<Pair>, OCamlList<Outcome>, Four) -> String;

/// Lists, options, results and tuples, for each of whose blocks OCaml allocates.
#[mirust::export]
fn test_pass_parts(ocaml: &mut OCamlRuntime, f: BoxRoot<Parts>, n: isize) -> String {
    let pairs: Vec<(f64, Option<String>)> =
        (0..n).map(|i| (i as f64 / 2.0, (i % 2 == 0).then(|| i.to_string()))).collect();
    let outcomes: [Result<i64, &str>; 2] = [Ok(i64::MIN), Err("error")];
    let four = (-1_isize, true, "text", vec![0, 255]);
    f.call(ocaml, (pairs, &outcomes[..], four)).expect("no exception").to_rust()
}

/// A value that is kept, and bytes where they are.
#[mirust::export]
fn test_made(ocaml: &mut OCamlRuntime, collect: BoxRoot<fn(()) -> ()>) -> isize {
    let list: BoxRoot<OCamlList<Option<OCamlBytes>>> =
        vec![None, Some(vec![1, 2]), Some(vec![39])].to_boxroot(ocaml);
    collect.call(ocaml, ((),)).expect("a collection");
    let (mut sum, mut rest) = (0, list.get(ocaml));
    while let Some((head, tail)) = rest.uncons() {
        if let Some(bytes) = head.to_option() {
            sum += OCamlBytes::as_slice(&bytes).iter().map(|b| *b as isize).sum::<isize>();
        }
        rest = tail;
    }
    sum
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
