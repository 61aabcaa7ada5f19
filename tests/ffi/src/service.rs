//! What `mirust-bindgen` writes the OCaml side of, for `tests/ocaml/test_service.ml`: every kind of
//! argument and result that the table has, and values that OCaml owns.
//!
//! The interface of this module is *generated*; see [the tool](https://example.org/).

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use mirust::ocaml::{
    AsyncClosure, BoxRoot, Closure, OCaml, OCamlBytes, OCamlInt64, OCamlList, OCamlPromise,
    OCamlRuntime, Opaque, Promise, opaque_values,
};
use mirust::time::{Duration, sleep};

/// Everything plain at once: `6 + 1` of them is one too many for OCaml's bytecode.
///
/// ```
/// # let hidden = 1;
/// assert_eq!(plain(1, 2, 3, 4.0, true, (), "5"), 15.0);
/// ```
#[mirust::export(name = "service_plain")]
fn plain(a: isize, b: i64, c: i32, d: f64, e: bool, _f: (), g: &str) -> f64 {
    let number: f64 = g.parse().expect("a number");
    if e { a as f64 + b as f64 + f64::from(c) + d + number } else { 0.0 }
}

/// No argument, and a name that OCaml keeps for itself.
#[mirust::export(name = "service_end")]
fn end() -> String {
    "end".into()
}

/// Numbers that the collector does not hear of.
#[mirust::export(name = "service_add", noalloc)]
fn add(a: isize, b: isize) -> isize {
    a.wrapping_add(b)
}

/// How many bytes a `string` has.
#[mirust::export(name = "service_length_string")]
fn length_string(data: &[u8]) -> isize {
    data.len() as isize
}

/// The same for a `bytes`.
#[mirust::export(name = "service_length_bytes")]
fn length_bytes(#[ocaml(bytes)] data: &[u8]) -> isize {
    data.len() as isize
}

/// The same for a bigarray.
#[mirust::export(name = "service_length_bigarray")]
fn length_bigarray(#[ocaml(bigarray)] data: &[u8]) -> isize {
    data.len() as isize
}

/// Copies from one `Cstruct.t` to another; says how much.
#[mirust::export(name = "service_copy")]
fn copy(#[ocaml(cstruct)] from: &[u8], #[ocaml(cstruct)] to: &mut [u8]) -> isize {
    let n = from.len().min(to.len());
    to[..n].copy_from_slice(&from[..n]);
    n as isize
}

/// Fills a `bytes`.
#[mirust::export(name = "service_fill")]
fn fill(data: &mut [u8], byte: isize) {
    data.fill(byte as u8);
}

/// Owned bytes, and as `bytes` back.
#[mirust::export(name = "service_reverse", returns = "bytes")]
fn reverse(#[ocaml(bytes)] mut data: Vec<u8>) -> Vec<u8> {
    data.reverse();
    data
}

/// The sum of a list.
#[mirust::export(name = "service_sum")]
fn sum(numbers: Vec<isize>) -> isize {
    numbers.iter().sum()
}

/// The numbers below `n`, each with its name and its half.
#[mirust::export(name = "service_numbers")]
fn numbers(n: isize) -> Vec<(isize, String, f64)> {
    (0..n).map(|i| (i, i.to_string(), i as f64 / 2.0)).collect()
}

/// Parts of every type, out and in again.
#[mirust::export(name = "service_parts")]
#[allow(clippy::type_complexity)]
fn parts(
    a: (i64, i32, f64, bool),
    b: Option<Vec<(String, Vec<u8>)>>,
    c: ((), Option<isize>, Vec<BoxRoot<String>>),
) -> Result<
    ((i64, i32, f64, bool), Option<Vec<(String, Vec<u8>)>>, Option<isize>, Vec<BoxRoot<String>>),
    (),
> {
    if a.3 { Ok((a, b, c.1, c.2)) } else { Err(()) }
}

/// The longest of the borrowed strings.
#[mirust::export(name = "service_longest")]
fn longest(strings: Vec<&str>, other: Option<&[u8]>) -> Option<String> {
    let other = other.map(|bytes| std::str::from_utf8(bytes).expect("UTF-8"));
    strings.into_iter().chain(other).max_by_key(|s| s.len()).map(String::from)
}

/// Copies the pieces to `to`, one after the other; says how much.
#[mirust::export(name = "service_gather")]
fn gather(#[ocaml(type = "Cstruct.t list")] pieces: Vec<&[u8]>, to: &mut [u8]) -> isize {
    let mut n = 0;
    for piece in pieces {
        to[n..n + piece.len()].copy_from_slice(piece);
        n += piece.len();
    }
    n as isize
}

/// A value that Rust does not convert.
#[mirust::export(name = "service_first")]
fn first(list: OCaml<'_, OCamlList<OCamlInt64>>) -> Option<i64> {
    let list: Vec<i64> = list.to_rust();
    list.first().copied()
}

/// Of any type: what comes in goes out.
#[mirust::export(name = "service_same", returns = "'a")]
fn same(#[ocaml(type = "'a")] value: BoxRoot<()>) -> BoxRoot<()> {
    value
}

/// Calls a closure, and has the text of what it raises.
#[mirust::export(name = "service_call")]
fn call(
    ocaml: &mut OCamlRuntime,
    f: BoxRoot<fn(OCamlBytes, isize) -> String>,
    n: isize,
) -> Result<String, String> {
    f.call(ocaml, (b"bytes".to_vec(), n)).map(|s| s.to_rust()).map_err(|e| e.to_string())
}

/// Calls a closure after a while, and awaits what it promises.
#[mirust::export(name = "service_call_later")]
async fn call_later(
    f: BoxRoot<fn(String) -> OCamlPromise<String>>,
    ns: i64,
) -> Result<String, String> {
    sleep(Duration::from_nanos(ns as u64)).await;
    f.call_async(("later",)).to_rust::<String>().await.map_err(|error| error.to_string())
}

/// Awaits a promise.
#[mirust::export(name = "service_twice")]
async fn twice(promise: Promise<String>) -> Result<(String, isize), String> {
    let s: String = promise.to_rust().await.map_err(|error| error.to_string())?;
    Ok((s.repeat(2), 2))
}

/// Bytes, as OCaml's `bytes`, from a future.
#[mirust::export(name = "service_bytes_later", returns = "bytes")]
async fn bytes_later(n: isize) -> Vec<u8> {
    vec![b'x'; n as usize]
}

/// Panics.
#[mirust::export(name = "service_fail")]
fn fail(message: String) -> Vec<isize> {
    panic!("{message}")
}

/// Values that OCaml owns, or that wait for the loop.
#[mirust::export(noalloc)]
fn service_values() -> isize {
    opaque_values() as isize
}

/// Destructors that have run.
#[mirust::export(noalloc)]
fn service_dropped() -> isize {
    DROPPED.get()
}

/// The counter that a function makes is of a type whose module comes later.
#[mirust::export]
fn service_counters(n: isize) -> Vec<Counter> {
    (0..n).map(Counter::at).collect()
}

thread_local! {
    static DROPPED: Cell<isize> = const { Cell::new(0) };
    static KEPT: RefCell<Option<Rc<Counter>>> = const { RefCell::new(None) };
}

/// Counts.
pub struct Counter {
    n: Cell<isize>,
    /// What `size` tells OCaml of.
    ballast: Vec<u8>,
}

impl Drop for Counter {
    fn drop(&mut self) {
        DROPPED.set(DROPPED.get() + 1);
    }
}

impl Counter {
    fn at(n: isize) -> Self {
        Counter { n: Cell::new(n), ballast: Vec::new() }
    }

    fn bytes(&self) -> usize {
        size_of_val(self) + self.ballast.len()
    }
}

/// It is {mutable} inside.
#[mirust::export(size = Counter::bytes)]
impl Counter {
    /// A counter that begins at `n`.
    fn new(n: isize) -> Self {
        Counter::at(n)
    }

    /// A counter that is `n` bytes large.
    fn large(n: isize) -> Counter {
        Counter { n: Cell::new(0), ballast: vec![0; n as usize] }
    }

    /// The next number.
    fn next(&self) -> isize {
        self.n.replace(self.n.get() + 1)
    }

    /// Where it is.
    #[mirust::export(noalloc)]
    fn get(&self) -> isize {
        self.n.get()
    }

    /// The same counter once more.
    fn alias(self: Rc<Self>) -> Rc<Self> {
        self
    }

    /// The larger of two; nothing if they are the same.
    fn larger(&self, other: &Counter) -> Option<isize> {
        (self.n != other.n).then(|| self.n.get().max(other.n.get()))
    }

    /// The sum of many.
    fn total(counters: Vec<&Self>, more: Option<Rc<Self>>) -> isize {
        counters.into_iter().chain(more.as_deref()).map(|counter| counter.n.get()).sum()
    }

    /// Waits, and then counts.
    async fn next_later(self: Rc<Self>, ns: i64) -> isize {
        sleep(Duration::from_nanos(ns as u64)).await;
        self.next()
    }

    /// Waits for ever.
    async fn keep(self: Rc<Self>) {
        std::future::pending().await
    }

    /// A counter of the future.
    async fn later(n: isize) -> Result<Counter, String> {
        if n < 0 { Err("negative".into()) } else { Ok(Counter::at(n)) }
    }

    /// Has a closure count, while OCaml collects.
    fn visit(self: Rc<Self>, ocaml: &mut OCamlRuntime, f: BoxRoot<fn(Counter) -> isize>) -> isize {
        let visited = f.call(ocaml, (Rc::clone(&self),)).map(|n| n.to_i64() as isize);
        visited.unwrap_or(-1) + self.n.get()
    }

    /// The one that a closure makes, one further.
    fn made_by(
        ocaml: &mut OCamlRuntime,
        f: BoxRoot<fn(()) -> Counter>,
    ) -> Result<Rc<Self>, String> {
        let counter = f.call(ocaml, ((),)).map(Counter::shared).map_err(|e| e.to_string())?;
        counter.next();
        Ok(counter)
    }

    /// Rust keeps it, besides.
    fn hold(self: Rc<Self>) {
        KEPT.set(Some(self));
    }

    /// Where the one is that Rust kept, which it forgets.
    fn held() -> Option<Rc<Self>> {
        KEPT.take()
    }
}

/// What has a destructor that does not behave.
pub struct Rude(isize);

impl Drop for Rude {
    fn drop(&mut self) {
        DROPPED.set(DROPPED.get() + 1);
        let unavailable = mirust::ocaml::with_runtime(|_| ()).is_err();
        match self.0 {
            0 => panic!("in a destructor"),
            1 => std::panic::panic_any(Rude(0)),
            // The loop has the runtime for it.
            _ => assert!(!unavailable, "the runtime is in use"),
        }
    }
}

#[mirust::export]
impl Rude {
    /// Panics when it is dropped: 0; with a payload that does, too: 1; if OCaml cannot be used then: 2.
    fn new(how: isize) -> Self {
        Rude(how)
    }

    /// Nothing.
    fn touch(&self) {}
}
