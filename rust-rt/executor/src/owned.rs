//! Statics that belong to the thread that first used them.

/// A value made at its first use, for the thread of that first use only.
pub struct Owned<T>(spin::Once<Inner<T>>);

struct Inner<T> {
    owner: usize,
    value: T,
}

impl<T> Inner<T> {
    #[inline]
    fn value(&self) -> &T {
        assert!(self.owner == thread(), "the domain belongs to another thread");
        &self.value
    }
}

// SAFETY: `Owned` gives references to the value only to the thread that made it (checked in
// `value`), and as a static it is never dropped. Other threads read only `owner`, which
// never changes.
unsafe impl<T> Sync for Inner<T> {}
// SAFETY: as above: the value is made, used and left behind on one thread.
unsafe impl<T> Send for Inner<T> {}

impl<T> Owned<T> {
    /// Nothing is made yet.
    pub const fn new() -> Self {
        Owned(spin::Once::new())
    }

    /// The value; `make` makes it if this is the first use.
    ///
    /// # Panics
    ///
    /// On another thread than the one of the first use.
    #[inline]
    pub fn get_or_init(&'static self, make: impl FnOnce() -> T) -> &'static T {
        self.0.call_once(|| Inner { owner: thread(), value: make() }).value()
    }

    /// The value, if it was made.
    ///
    /// # Panics
    ///
    /// On another thread than the one of the first use.
    #[inline]
    pub fn get(&'static self) -> Option<&'static T> {
        self.0.get().map(Inner::value)
    }

    /// Whether the value was made.
    pub fn is_made(&self) -> bool {
        self.0.is_completed()
    }
}

impl<T> Default for Owned<T> {
    fn default() -> Self {
        Owned::new()
    }
}

/// Names the calling thread among those that run.
#[inline]
pub(crate) fn thread() -> usize {
    #[cfg(feature = "single-thread")]
    return 0; // There is one vCPU and one thread of execution.
    #[cfg(not(feature = "single-thread"))]
    {
        let pointer: usize;
        // SAFETY: by the ABI for x86-64, every thread finds the address of its own thread-local
        // storage there; reading it changes nothing.
        unsafe {
            core::arch::asm!("mov {}, fs:0", out(reg) pointer,
                options(nostack, preserves_flags, readonly, pure));
        }
        pointer
    }
}
