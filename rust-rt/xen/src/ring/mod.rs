//! Queues in memory that is shared with another domain.
//!
//! [`bytes`] has the byte queues of the console and of xenstore, [`front`] the frontend's half of
//! the request/response rings that device backends use, and [`shadow`] remembers what each request
//! in flight was about, so that nothing is ever read back from the shared page.
//!
//! All of them keep their own index in private memory, and look at the peer's index with suspicion:
//! an index that cannot be right is [`Corrupt`], an error value and not a panic. After it the queue
//! answers nothing else: there is no telling which bytes belong to which message any more.

pub mod bytes;
pub mod front;
pub mod shadow;

/// The peer wrote an index that cannot be right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Corrupt;

impl core::fmt::Display for Corrupt {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the peer wrote an impossible ring index")
    }
}

impl core::error::Error for Corrupt {}
