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

/// Signals that were sent and not taken, a bit each from signal 1 on; and which of them by `kill`.
pub(crate) struct Pending(Cell<[u64; 2]>);

impl Pending {
    const fn new() -> Self {
        Pending(Cell::new([0; 2]))
    }

    /// Takes the first of these that was sent, and whether it came by `kill`.
    pub(crate) fn take(&self, of: u64) -> Option<(u64, bool)> {
        let [all, kills] = self.0.get();
        let bit = all & of & (all & of).wrapping_neg();
        self.0.set([all & !bit, kills & !bit]);
        (bit != 0).then_some((bit, kills & bit != 0))
    }

    /// Keeps a signal. Like the kernel, this keeps the first of several.
    pub(crate) fn keep(&self, bit: u64, by_kill: bool) {
        let [all, kills] = self.0.get();
        let kills = if by_kill && all & bit == 0 { kills | bit } else { kills };
        self.0.set([all | bit, kills]);
    }
}

/// What belongs to a stack.
pub(crate) struct Signals {
    /// The signals that it blocks, a bit each from signal 1 on.
    pub(crate) blocked: Cell<u64>,
    /// Those that were sent to it alone.
    pub(crate) own: Pending,
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
            own: Pending::new(),
            wanted: Cell::new(0),
            wait: Cell::new(None),
            over: Cell::new(false),
            waker: Cell::new(None),
            place: Cell::new(0),
            next: Cell::new(ptr::null()),
        }
    }

    /// Those that it may take: its own, and the program's.
    pub(crate) fn pending(&self) -> u64 {
        self.own.0.get()[0] | program().0.get()[0]
    }

    /// Takes the first of these that was sent to it or, if none was, to the program; and whether it came by `kill`.
    pub(crate) fn take(&self, of: u64) -> Option<(u64, bool)> {
        self.own.take(of).or_else(|| program().take(of))
    }
}

struct Only(Signals, Pending);
// SAFETY: an image has one thread of execution.
#[cfg(not(test))]
unsafe impl Sync for Only {}
#[cfg(not(test))]
static ONLY: Only = Only(Signals::new(), Pending::new());

#[cfg(not(test))]
fn only() -> &'static Only {
    &ONLY
}

/// Each thread of the test harness is a program.
#[cfg(test)]
fn only() -> &'static Only {
    use alloc::boxed::Box;
    std::thread_local! {
        static ONLY: &'static Only = Box::leak(Box::new(Only(Signals::new(), Pending::new())));
    }
    ONLY.with(|&only| only)
}

/// Those of the main stack.
pub(crate) fn main() -> &'static Signals {
    &only().0
}

/// Those that were sent to the program: any stack that does not block them may take them.
pub(crate) fn program() -> &'static Pending {
    &only().1
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
pub(crate) fn find(mut is: impl FnMut(&Signals) -> bool) -> Option<&'static Signals> {
    let mut at = main();
    while !is(at) {
        // SAFETY: as above; nobody ends while `is` is asked.
        at = unsafe { at.next.get().as_ref()? };
    }
    Some(at)
}

/// What any stack waits for in `sigwait` and its kin.
pub(crate) fn wanted() -> u64 {
    let mut all = 0;
    find(|one| {
        all |= one.wanted.get();
        false
    });
    all
}
