//! The result of a poll.

use core::ops::{BitAnd, BitOr, BitOrAssign};

/// Why [`Domain::poll`](crate::poll::Domain::poll) returned: a set of bits, of which more than one may be set.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(transparent)]
pub struct Ready(u32);

impl Ready {
    /// OCaml has work: completions wait to be collected, or there was a signal.
    pub const FOREIGN: Ready = Ready(1 << 0);
    /// The caller's deadline has passed.
    pub const TIMER: Ready = Ready(1 << 1);
    /// A shutdown was requested. Reported once per request; the reason stays readable.
    pub const SHUTDOWN: Ready = Ready(1 << 2);
    /// Nothing was done: the call came from inside a poll, that is, from a Rust task or an event handler. Such code
    /// must not wait; it must return to the outer loop.
    pub const NESTED: Ready = Ready(1 << 3);
    /// The future of a `block_on` was woken. Never leaves `poll`.
    pub(crate) const MAIN: Ready = Ready(1 << 31);

    /// No bit.
    pub const fn empty() -> Self {
        Ready(0)
    }

    /// Whether no bit is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Ready) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits as they cross the C ABI.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Clears the bits of `other`.
    pub(crate) fn remove(&mut self, other: Ready) {
        self.0 &= !other.0;
    }
}

impl BitOr for Ready {
    type Output = Ready;

    fn bitor(self, other: Ready) -> Ready {
        Ready(self.0 | other.0)
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Ready) {
        self.0 |= other.0;
    }
}

impl BitAnd for Ready {
    type Output = Ready;

    fn bitand(self, other: Ready) -> Ready {
        Ready(self.0 & other.0)
    }
}
