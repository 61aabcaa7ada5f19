//! Stacks: how large they are, and where they come from.
//!
//! All memory of a stack is committed when the thread starts. So if none is left, starting the thread fails, which the
//! caller can handle, and no thread dies in the middle of a function. It also means that a stack must not be larger
//! than necessary: by default, Rust's `std` asks for 2 MiB, expecting a system that counts only touched pages. That
//! request gets our own default; any other is granted exactly.

use alloc::vec::Vec;

use crate::host::Host;

const PAGE: usize = 4096;

/// What `std` asks for when the program does not say.
pub const NO_OPINION: usize = 2 << 20;

/// The least that a thread gets: C code of the unwinder alone takes a few KiB.
pub const LEAST: usize = 16 << 10;

/// Bytes of stack for a thread that was requested with `asked` (0: no opinion), in a domain of `memory`
/// bytes. No opinion is a 128th of the memory, between 64 KiB and 2 MiB: 256 KiB in a domain of
/// 32 MiB, and what `std` asks for from 256 MiB on.
pub fn size(asked: usize, memory: usize) -> usize {
    let bytes = match asked {
        0 | NO_OPINION => (memory / 128).clamp(64 << 10, NO_OPINION),
        asked => asked.max(LEAST),
    };
    bytes.checked_next_multiple_of(PAGE).unwrap_or(usize::MAX & !(PAGE - 1))
}

/// A stack, not in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stack {
    /// The lowest address.
    pub(crate) low: usize,
    /// Bytes, whole pages.
    pub(crate) bytes: usize,
}

impl Stack {
    /// One beyond the highest address.
    pub(crate) fn top(&self) -> usize {
        self.low + self.bytes
    }

    /// Whether an access to `address` came from running over its lower end.
    pub(crate) fn guards(&self, address: usize) -> bool {
        (self.low.saturating_sub(crate::host::GUARD)..self.low).contains(&address)
    }
}

/// Stacks of ended threads, for the next ones: mapping memory takes longer than a short thread runs.
pub(crate) struct Pool(Vec<Stack>);

/// How many are kept, at most.
const KEPT: usize = 8;

impl Pool {
    pub(crate) const fn new() -> Self {
        Pool(Vec::new())
    }

    /// A stack of `bytes`.
    pub(crate) fn take(&mut self, host: &Host, bytes: usize) -> Option<Stack> {
        if let Some(at) = self.0.iter().position(|stack| stack.bytes == bytes) {
            return Some(self.0.swap_remove(at));
        }
        let low = (host.map)(bytes).or_else(|| {
            // What is kept may be what is missing.
            if self.0.is_empty() {
                return None;
            }
            self.empty(host);
            (host.map)(bytes)
        })?;
        Some(Stack { low, bytes })
    }

    /// Takes a stack that nobody uses any more.
    pub(crate) fn put(&mut self, host: &Host, stack: Stack) {
        if self.0.len() == KEPT {
            // The oldest: programs start threads of one size, and then of another.
            let oldest = self.0.remove(0);
            // SAFETY: from `map`, and only ended threads' stacks are here.
            unsafe { (host.unmap)(oldest.low, oldest.bytes) }
        }
        self.0.push(stack);
    }

    /// Gives everything back.
    pub(crate) fn empty(&mut self, host: &Host) {
        for stack in self.0.drain(..) {
            // SAFETY: as above.
            unsafe { (host.unmap)(stack.low, stack.bytes) }
        }
    }

    /// Whether there is a stack of `bytes`.
    pub(crate) fn has(&self, bytes: usize) -> bool {
        self.0.iter().any(|stack| stack.bytes == bytes)
    }

    /// Bytes that are kept.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|stack| stack.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn no_opinion_is_a_share_of_the_memory() {
        for (memory, expected) in [
            (6 * MIB, 64 << 10),
            (16 * MIB, 128 << 10),
            (32 * MIB, 256 << 10),
            (256 * MIB, 2 * MIB),
            (4096 * MIB, 2 * MIB),
        ] {
            assert_eq!(size(NO_OPINION, memory), expected);
            assert_eq!(size(0, memory), expected);
        }
    }

    #[test]
    fn an_opinion_counts_in_whole_pages() {
        assert_eq!(size(1, 32 * MIB), LEAST);
        assert_eq!(size(100_000, 32 * MIB), 102_400);
        assert_eq!(size(8 * MIB, 32 * MIB), 8 * MIB);
        assert_eq!(size(usize::MAX, 32 * MIB) % PAGE, 0);
    }

    #[test]
    fn the_pages_below_are_the_guard() {
        let stack = Stack { low: 0x10_0000, bytes: 0x4000 };
        assert!(stack.guards(0x0f_ffff) && stack.guards(0x0f_c000));
        assert!(!stack.guards(0x10_0000) && !stack.guards(0x0f_bfff));
        assert_eq!(stack.top(), 0x10_4000);
    }
}
