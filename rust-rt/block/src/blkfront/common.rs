//! What a connection agrees on with its backend, and what ends it.

use core::fmt;
use mirust_xen::wire::blkif::Operation;

/// How a flush is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FlushBy {
    /// Not at all: what is written is stable.
    Nothing,
    /// By this operation; or by a barrier, if the backend turns out not to support it and has barriers.
    Operation(Operation, bool),
    /// The backend offered flushes, but refused one.
    Refused,
}

/// What was agreed with the backend.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Features {
    pub flush: FlushBy,
    /// Segments in a request.
    pub segments: usize,
    /// Pages keep their grants, so that all data has to be copied.
    pub persistent: bool,
    /// The toolstack says that the backend is not to be trusted: it sees none of the callers' memory.
    pub untrusted: bool,
    /// The number of the device, in each request.
    pub handle: u16,
    /// Requests that may be in flight.
    pub depth: usize,
}

/// A protocol violation after which the ring cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The producer index.
    Index,
    /// A response to a request that is not in flight.
    Id(u64),
    /// A response that calls its request something else.
    Operation(u8),
    /// Very many notifications in a row about nothing.
    Storm,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Index => f.write_str("impossible index in the ring"),
            Fault::Id(id) => write!(f, "response to request {id:#x}, which is not in flight"),
            Fault::Operation(operation) => write!(f, "response to another operation: {operation}"),
            Fault::Storm => f.write_str("notifications without end about nothing"),
        }
    }
}
