//! What each stack has of signals: those that it blocks, those that were sent to it meanwhile, and the call in which it
//! waits, if a handler ends that.

use core::cell::Cell;
use core::ptr;
use core::task::Waker;

/// Which handlers end a call that waits, with EINTR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ends {
    /// Those without SA_RESTART.
    Unrestarted,
    /// All: the call has a time limit, or is `pause` or its kin.
    Always,
}

/// What belongs to a stack.
pub(crate) struct Signals {
    /// The signals that it blocks, a bit each from signal 1 on.
    pub(crate) blocked: Cell<u64>,
    /// Signals that it has blocked and that were sent, and which of them by `kill`. The main stack's are those of the
    /// program.
    pending: Cell<[u64; 2]>,
    /// What it waits for in `sigwait` and its kin.
    pub(crate) wanted: Cell<u64>,
    /// The call in which it waits.
    pub(crate) wait: Cell<Option<Ends>>,
    /// A handler has run that ends the call.
    pub(crate) over: Cell<bool>,
    /// Has the call look again.
    pub(crate) waker: Cell<Option<Waker>>,
    /// The address at which it waits, or 0.
    pub(crate) place: Cell<usize>,
    /// The next thread's.
    next: Cell<*const Signals>,
}

impl Signals {
    pub(crate) const fn new() -> Self {
        Signals {
            blocked: Cell::new(0),
            pending: Cell::new([0; 2]),
            wanted: Cell::new(0),
            wait: Cell::new(None),
            over: Cell::new(false),
            waker: Cell::new(None),
            place: Cell::new(0),
            next: Cell::new(ptr::null()),
        }
    }

    /// Those that were sent and not taken.
    pub(crate) fn pending(&self) -> u64 {
        self.pending.get()[0]
    }

    /// Takes the first of these that was sent, and whether it came by `kill`.
    pub(crate) fn take(&self, of: u64) -> Option<(u64, bool)> {
        let [all, kills] = self.pending.get();
        let bit = all & of & (all & of).wrapping_neg();
        self.pending.set([all & !bit, kills & !bit]);
        (bit != 0).then_some((bit, kills & bit != 0))
    }

    /// Keeps a signal. Like the kernel, this keeps the first of several.
    pub(crate) fn keep(&self, bit: u64, by_kill: bool) {
        let [all, kills] = self.pending.get();
        let kills = if by_kill && all & bit == 0 { kills | bit } else { kills };
        self.pending.set([all | bit, kills]);
    }
}

#[cfg(not(test))]
struct Only(Signals);
// SAFETY: an image has one thread of execution.
#[cfg(not(test))]
unsafe impl Sync for Only {}
#[cfg(not(test))]
static MAIN: Only = Only(Signals::new());

/// Those of the main stack.
#[cfg(not(test))]
pub(crate) fn main() -> &'static Signals {
    &MAIN.0
}

/// Those of the main stack; each thread of the test harness is a program here.
#[cfg(test)]
pub(crate) fn main() -> &'static Signals {
    std::thread_local! {
        static MAIN: &'static Signals = alloc::boxed::Box::leak(alloc::boxed::Box::new(Signals::new()));
    }
    MAIN.with(|&main| main)
}

/// A thread begins, with the mask of the one that has started it.
pub(crate) fn begin(thread: &Signals, mask: u64) {
    thread.blocked.set(mask);
    thread.next.set(main().next.replace(thread));
}

/// A thread is at its end.
pub(crate) fn end(thread: &Signals) {
    let mut at = main();
    // SAFETY: in the list are threads that have not ended.
    while let Some(next) = unsafe { at.next.get().as_ref() } {
        if ptr::eq(next, thread) {
            return at.next.set(thread.next.get());
        }
        at = next;
    }
}

/// The first stack of which this is true, the main stack before the others. It may be gone once others have run, as a
/// handler may let them: then it is looked for again.
pub(crate) fn find(is: impl Fn(&Signals) -> bool) -> Option<&'static Signals> {
    let mut at = main();
    while !is(at) {
        // SAFETY: as above; nobody ends while `is` is asked.
        at = unsafe { at.next.get().as_ref()? };
    }
    Some(at)
}
