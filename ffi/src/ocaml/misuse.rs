//! What the compiler has to refuse. Each example differs in one thing from one that compiles.

/// Bytes cannot be borrowed by a function that can run OCaml.
///
/// ```compile_fail,E0277
/// #[mirust::export]
/// fn f(ocaml: &mut mirust::ocaml::OCamlRuntime, data: &[u8]) {}
/// ```
///
/// ```
/// #[mirust::export]
/// fn f(ocaml: &mut mirust::ocaml::OCamlRuntime, data: Vec<u8>) {}
/// ```
mod a_borrow_beside_the_runtime {}

/// A borrow does not outlive the call.
///
/// ```compile_fail
/// #[mirust::export]
/// fn f(data: &'static [u8]) {}
/// ```
///
/// ```compile_fail
/// #[mirust::export]
/// fn f(data: &[u8]) {
///     mirust::spawn(async move { data.len() });
/// }
/// ```
///
/// ```
/// #[mirust::export]
/// fn f(data: &[u8]) {
///     let data = data.to_vec();
///     mirust::spawn(async move { data.len() });
/// }
/// ```
mod a_borrow_that_stays {}

/// Safe code cannot say what a value of its own is to OCaml.
///
/// ```compile_fail,E0200
/// struct Wild;
/// impl mirust::ocaml::Return for Wild {
///     type Abi = isize;
///     unsafe fn give(self) -> isize {
///         42
///     }
///     unsafe fn give_value(self) -> isize {
///         42
///     }
/// }
/// ```
mod a_value_made_up {}

/// Exports need no unsafe code in their crate.
///
/// ```
/// #![forbid(unsafe_code)]
/// #[mirust::export]
/// fn f(s: &str) -> isize {
///     s.len() as isize
/// }
/// ```
mod no_unsafe_code {}

/// A value that is not rooted cannot be used after OCaml has run.
///
/// ```compile_fail,E0499
/// use mirust::ocaml::{BoxRoot, Closure, OCamlRuntime};
///
/// #[mirust::export]
/// fn f(ocaml: &mut OCamlRuntime, g: BoxRoot<fn(()) -> String>) -> String {
///     let first = g.call(ocaml, ((),)).unwrap();
///     let second = g.call(ocaml, ((),)).unwrap();
///     first.to_rust()
/// }
/// ```
///
/// ```
/// use mirust::ocaml::{BoxRoot, Closure, OCamlRuntime};
///
/// #[mirust::export]
/// fn f(ocaml: &mut OCamlRuntime, g: BoxRoot<fn(()) -> String>) -> String {
///     let first = g.call(ocaml, ((),)).unwrap().root();
///     let second = g.call(ocaml, ((),)).unwrap().root();
///     first.to_rust(ocaml)
/// }
/// ```
mod a_value_without_a_root {}

/// The runtime does not leave the call, and a `noalloc` function has none.
///
/// ```compile_fail
/// use mirust::ocaml::{OCamlRuntime, with_runtime};
///
/// let runtime: &mut OCamlRuntime = with_runtime(|ocaml| ocaml).unwrap();
/// ```
///
/// ```compile_fail
/// #[mirust::export(noalloc)]
/// fn f(ocaml: &mut mirust::ocaml::OCamlRuntime) {}
/// ```
mod a_runtime_that_stays {}

/// Roots belong to OCaml's thread.
///
/// ```compile_fail,E0277
/// fn elsewhere(root: mirust::ocaml::BoxRoot<String>) {
///     std::thread::spawn(move || drop(root));
/// }
/// ```
mod a_root_in_another_thread {}

/// What OCaml calls is one function, not one for each type.
///
/// ```compile_fail
/// #[mirust::export]
/// fn f<T>(n: isize) -> isize { n }
/// ```
mod no_single_function {}

/// A name that OCaml would take for another type.
///
/// ```compile_fail,E0277
/// type String = mirust::ocaml::BoxRoot<isize>;
///
/// #[mirust::export]
/// fn f(s: String) {}
/// ```
///
/// ```compile_fail,E0277
/// #[allow(non_camel_case_types)]
/// type f64 = i64;
///
/// #[mirust::export]
/// fn f() -> f64 { 1 }
/// ```
///
/// ```
/// #[mirust::export]
/// fn f(s: String) {}
/// ```
mod a_type_that_is_called_like_another {}

/// A number passed as a number cannot have an OCaml type that is a value; neither is a buffer what is
/// none.
///
/// ```compile_fail
/// #[mirust::export]
/// fn f(#[ocaml(type = "float")] n: isize) {}
///
/// fn main() { f(1) }
/// ```
///
/// ```compile_fail
/// #[mirust::export(returns = "string")]
/// fn f() -> isize { 1 }
///
/// fn main() { f(); }
/// ```
///
/// ```compile_fail
/// #[mirust::export]
/// fn f(#[ocaml(cstruct)] s: &str) {}
/// ```
///
/// ```
/// #[mirust::export(returns = "'a")]
/// fn f(#[ocaml(type = "'a")] v: mirust::ocaml::BoxRoot<()>, #[ocaml(cstruct)] b: &[u8]) -> mirust::ocaml::BoxRoot<()> {
///     v
/// }
/// ```
mod an_ocaml_type_that_does_not_fit {}

/// What OCaml owns is shared, and not borrowed where OCaml can run.
///
/// ```compile_fail
/// struct Counter(isize);
///
/// #[mirust::export]
/// impl Counter {
///     fn add(&mut self, n: isize) { self.0 += n }
/// }
/// ```
///
/// ```compile_fail
/// struct Counter(isize);
///
/// #[mirust::export]
/// impl Counter {
///     async fn later(&self) -> isize { self.0 }
/// }
/// ```
///
/// ```compile_fail,E0277
/// struct Counter(isize);
///
/// #[mirust::export]
/// impl Counter {}
///
/// #[mirust::export]
/// async fn later(counter: &Counter) -> isize { counter.0 }
/// ```
///
/// ```
/// use std::cell::Cell;
/// use std::rc::Rc;
///
/// struct Counter(Cell<isize>);
///
/// #[mirust::export]
/// impl Counter {
///     fn add(&self, n: isize) { self.0.set(self.0.get() + n) }
///     async fn later(self: Rc<Self>) -> isize { self.0.get() }
/// }
/// ```
mod a_borrow_of_what_ocaml_owns {}

/// Only an exported type goes to OCaml, and a `noalloc` function gives it nothing that is allocated.
///
/// ```compile_fail,E0277
/// struct Counter(isize);
///
/// #[mirust::export]
/// fn f() -> Counter { Counter(1) }
/// ```
///
/// ```compile_fail
/// #[mirust::export(noalloc)]
/// fn f() -> Option<isize> { None }
/// ```
///
/// ```
/// struct Counter(isize);
///
/// #[mirust::export]
/// impl Counter {}
///
/// #[mirust::export]
/// fn f() -> Counter { Counter(1) }
///
/// #[mirust::export(noalloc)]
/// fn g() -> isize { 1 }
/// ```
mod a_result_that_ocaml_cannot_have {}

/// Bytes inside a value cannot be read while others, which may be the same, are written.
///
/// ```compile_fail,E0080
/// use mirust::ocaml::{OCaml, OCamlBigarray};
///
/// #[mirust::export]
/// fn f(seen: OCaml<'_, OCamlBigarray>, out: &mut [u8]) {
///     out.copy_from_slice(seen.as_slice());
/// }
/// ```
///
/// ```compile_fail,E0080
/// use mirust::ocaml::{OCaml, OCamlBigarray};
///
/// #[mirust::export]
/// fn f(out: (&mut [u8], isize), seen: OCaml<'_, OCamlBigarray>) {
///     out.0.copy_from_slice(seen.as_slice());
/// }
/// ```
///
/// ```
/// use mirust::ocaml::{OCaml, OCamlBigarray};
///
/// #[mirust::export]
/// fn f(seen: OCaml<'_, OCamlBigarray>, n: &[u8]) -> bool {
///     seen.as_slice() == n
/// }
/// ```
mod a_value_beside_what_is_written {}

/// What ocaml-interop would do with the runtime is not safe here: a value whose destructor the collector runs, an
/// exception through Rust's frames, and code during which others have the runtime.
///
/// ```compile_fail,E0308
/// use mirust::ocaml::{OCaml, OCamlRuntime};
///
/// fn f(ocaml: &mut OCamlRuntime) {
///     OCaml::box_value(ocaml, 1);
/// }
/// ```
///
/// ```compile_fail,E0308
/// use mirust::ocaml::{OCaml, OCamlInt, OCamlList, OCamlRuntime};
///
/// fn f(ocaml: &mut OCamlRuntime) {
///     OCaml::<OCamlList<OCamlInt>>::nil(ocaml);
/// }
/// ```
///
/// ```compile_fail,E0596
/// use mirust::ocaml::OCamlRuntime;
///
/// fn f(ocaml: &mut OCamlRuntime) {
///     ocaml.releasing_runtime(|| ());
/// }
/// ```
///
/// ```
/// use mirust::ocaml::{BoxRoot, OCamlRuntime, ToOCaml};
///
/// fn f(ocaml: &mut OCamlRuntime) -> String {
///     let root: BoxRoot<String> = "text".to_boxroot(ocaml);
///     root.to_rust(ocaml)
/// }
/// ```
mod what_ocaml_interop_would_do {}

/// A closure is called with what its OCaml type can be made of.
///
/// ```compile_fail,E0277
/// use mirust::ocaml::{BoxRoot, Closure, OCamlFloat, OCamlRuntime};
///
/// fn f(ocaml: &mut OCamlRuntime, g: BoxRoot<fn(OCamlFloat) -> OCamlFloat>) -> f64 {
///     g.call(ocaml, (1,)).unwrap().to_rust()
/// }
/// ```
///
/// ```
/// use mirust::ocaml::{BoxRoot, Closure, OCamlFloat, OCamlRuntime};
///
/// fn f(ocaml: &mut OCamlRuntime, g: BoxRoot<fn(OCamlFloat) -> OCamlFloat>) -> f64 {
///     g.call(ocaml, (1.0,)).unwrap().to_rust()
/// }
/// ```
mod a_number_of_another_type {}

/// Bytes of OCaml's need not be text.
///
/// ```compile_fail,E0277
/// use mirust::ocaml::{BoxRoot, OCamlBytes, OCamlRuntime};
///
/// fn f(ocaml: &mut OCamlRuntime, bytes: BoxRoot<OCamlBytes>) -> String {
///     bytes.to_rust(ocaml)
/// }
/// ```
///
/// ```
/// use mirust::ocaml::{BoxRoot, OCamlBytes, OCamlRuntime};
///
/// fn f(ocaml: &mut OCamlRuntime, bytes: BoxRoot<OCamlBytes>) -> Option<String> {
///     String::from_utf8(bytes.to_rust(ocaml)).ok()
/// }
/// ```
mod bytes_that_are_taken_for_text {}
