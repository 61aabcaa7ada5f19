//! Telling OCaml that something it waits for is done.

use crate::domain;

/// A promise on the OCaml side, by its token (`Mirust.Completion.token`).
///
/// OCaml passes the token as an `(int [@untagged])`; Rust completes it once, from any task, and the
/// loop wakes the promise in its next turn. Dropping it without completing leaves the promise pending.
#[derive(PartialEq, Eq, Debug)]
#[must_use = "a promise that is never completed waits for ever"]
pub struct Completion(isize);

impl Completion {
    /// The completion that OCaml calls `token`.
    pub const fn from_token(token: isize) -> Self {
        Completion(token)
    }

    /// Wakes the promise. Never runs OCaml code inside this call.
    pub fn complete(self) {
        domain::complete(self.0 as u64);
    }
}
