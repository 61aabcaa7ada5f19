//! OCaml's strings are bytes: at the boundary they are a `String` or a `Vec<u8>`.

use crate::ocaml::export::Raw;
use crate::ocaml::{BoxRoot, OCamlRuntime, Pass, copy};

/// Bytes for an OCaml function that takes a `string`.
pub(super) struct Octets(Vec<u8>);

impl Octets {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Octets(bytes)
    }
}

// SAFETY: a string, rooted.
unsafe impl Pass<String> for Octets {
    type Kept<'a> = BoxRoot<String>;
    fn keep(&self, ocaml: &mut OCamlRuntime) -> BoxRoot<String> {
        copy(ocaml, &self.0)
    }
    unsafe fn raw(kept: &BoxRoot<String>) -> Raw {
        // SAFETY: read from the root when it is passed.
        unsafe { kept.get_raw() }
    }
}
