//! Greets, in as many words as `n` says.
//!
//! # Errors
//!
//! A name that is empty is an `Error "nobody"`.

use std::rc::Rc;

/// Not exported: OCaml does not hear of it.
pub fn helper<T>(value: &T) -> usize {
    size_of_val(value)
}

/// A greeting for `name`.
#[mirust::export]
fn greeting(name: &str) -> String {
    name.into()
}

/// The *same*, for [several](https://example.org/), as in:
///
/// ```
/// # use greeter::greetings;
/// assert_eq!(greetings(vec!["a".into()], Some(1)).len(), 1);
/// ```
#[mirust::export]
fn greetings(names: Vec<String>, words: Option<isize>) -> Vec<(String, isize)> {
    names.into_iter().map(|name| (name, words.unwrap_or(1))).collect()
}

#[mirust::export(noalloc, name = "greeter_count")]
fn count(#[ocaml(cstruct)] text: &[u8], _: ()) -> isize {
    text.len() as isize
}

/// Whom one greets.
pub struct Person(String);

#[mirust::export(size = size_of_val)]
impl Person {
    /// Somebody of this name.
    fn new(name: String) -> Result<Self, String> {
        if name.is_empty() { Err("nobody".into()) } else { Ok(Person(name)) }
    }

    /// Greets, after `ns` nanoseconds.
    ///
    /// - never before
    /// - but perhaps later: a `}` and a " do no harm
    #[mirust::export(name = "person_greet_later")]
    async fn greet(self: Rc<Self>, ns: i64) -> String {
        let _ = ns;
        self.0.clone()
    }

    /// Meets many others, and somebody `else` of another type.
    fn meet(&self, others: Vec<Rc<Person>>, r#else: Option<&Dog>, r#type: BoxRoot<fn(Person, isize)>) {
        drop((others, r#else, r#type));
    }
}

/// Another type.
pub struct Dog;

#[mirust::export]
impl Dog {
    /// Its owner, by way of a type that only the source knows.
    #[mirust::export(returns = "Person.t * float array")]
    fn owner(&self, #[ocaml(type = "[ `Loud | `Quiet ]")] how: BoxRoot<()>) -> BoxRoot<()> {
        how
    }
}
