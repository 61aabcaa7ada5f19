//! The Rust side of cohttp: what an upload is hashed with, and an answer that takes its time.

use mirust::time::{Duration, sleep};
use sha2::{Digest, Sha256};
use std::cell::RefCell;

/// A hash of what has come so far. OCaml's collector owns it.
pub struct Hash(RefCell<Sha256>);

#[mirust::export]
impl Hash {
    /// Of nothing.
    fn new() -> Hash {
        Hash(RefCell::default())
    }

    /// Of so many bytes more, which are read where OCaml has them.
    fn add(&self, bytes: &[u8]) {
        self.0.borrow_mut().update(bytes);
    }

    /// What it is now, in hexadecimal.
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
