//! What the poll and the executor need of the ground below them.

use crate::time::Instant;

/// The ground of a domain: Xen, a Unix process, or a mock in the tests.
///
/// One thread of execution calls these methods; none of them is re-entered.
pub trait Platform {
    /// The monotonic clock.
    fn now(&self) -> Instant;

    /// Hands every event that is pending to whoever waits for it (usually by waking a
    /// [`Waker`](core::task::Waker)) and returns how many there were. Never blocks.
    fn dispatch(&self) -> usize;

    /// Blocks until an event is pending or `deadline` has passed, whichever comes first. May
    /// return early. An event that became pending after the last [`dispatch`](Self::dispatch)
    /// MUST make this return at once: that is what makes a lost wake-up impossible.
    ///
    /// This is the only call of the whole image that blocks.
    fn wait(&self, deadline: Instant);
}
