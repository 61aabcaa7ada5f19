//! The Rust side of cohttp: the hash of an upload, and an answer that takes a while.

use mirust::time::{Duration, sleep};
use sha2::{Digest, Sha256};
use std::cell::RefCell;

/// A hash of the data so far. OCaml's collector owns it.
pub struct Hash(RefCell<Sha256>);

#[mirust::export]
impl Hash {
    /// The hash of no data.
    fn new() -> Hash {
        Hash(RefCell::default())
    }

    /// Adds data, which is read in OCaml's memory.
    fn add(&self, bytes: &[u8]) {
        self.0.borrow_mut().update(bytes);
    }

    /// The current hash, in hexadecimal.
    fn hex(&self) -> String {
        format!("{:x}", self.0.borrow().clone().finalize())
    }
}

/// A promise of a greeting.
#[mirust::export]
async fn greeting(name: String) -> String {
    assert!(name != "panic", "as it was asked to");
    sleep(Duration::from_millis(1)).await;
    format!("Hello {name}, this is Rust\n")
}
