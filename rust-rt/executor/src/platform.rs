//! What the poll and the executor need from the platform.

use crate::inbox::Notifier;
use crate::time::{Duration, Instant};

/// What a domain runs on: Xen, a Unix process, or a mock in the tests.
///
/// One thread of execution calls these methods; none of them is re-entered.
pub trait Platform {
    /// The monotonic clock.
    fn now(&self) -> Instant;

    /// The wall clock: time since 1970-01-01T00:00:00Z. It may jump, in both directions.
    fn wall(&self) -> Duration;

    /// Delivers every pending event to what waits for it (usually by waking a
    /// [`Waker`](core::task::Waker)) and returns how many there were. Never blocks. Where checking is
    /// expensive it may miss events of the last few microseconds, but not after a [`wait`](Self::wait).
    fn dispatch(&self) -> usize;

    /// Blocks until an event is pending or `deadline` has passed, whichever comes first. May
    /// return early. An event that the last [`dispatch`](Self::dispatch) did not hand out
    /// MUST make this return at once: that is what makes a lost wake-up impossible.
    ///
    /// This is the only blocking call in the whole image.
    fn wait(&self, deadline: Instant);

    /// The clock as it was within the last hundredth of a second, if the platform knows that without a look at it,
    /// since a look costs much there. Not earlier than anything that it has shown, nor than the end of the last
    /// [`wait`](Self::wait) that gave up the processor.
    fn recent(&self) -> Option<Instant> {
        None
    }

    /// A function that ends a [`wait`](Self::wait) in progress or about to begin, if other threads can wake a task
    /// here. `None` if there is only one thread of execution: then only events can happen during a wait.
    fn notifier(&self) -> Option<Notifier> {
        None
    }
}

impl<P: Platform + ?Sized> Platform for &P {
    fn now(&self) -> Instant {
        (**self).now()
    }

    fn wall(&self) -> Duration {
        (**self).wall()
    }

    fn dispatch(&self) -> usize {
        (**self).dispatch()
    }

    fn wait(&self, deadline: Instant) {
        (**self).wait(deadline)
    }

    fn recent(&self) -> Option<Instant> {
        (**self).recent()
    }

    fn notifier(&self) -> Option<Notifier> {
        (**self).notifier()
    }
}
