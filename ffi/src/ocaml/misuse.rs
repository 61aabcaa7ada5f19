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
