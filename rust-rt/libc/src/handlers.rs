//! What handlers of signals a program has set, and what they are called with.

use super::threads::block::Block;
use core::cell::Cell;
use core::ffi::c_int;
use core::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

/// One more than the highest signal.
pub(super) const SIGNALS: usize = 65;
pub(super) const SIG_DFL: usize = 0;
pub(super) const SIG_IGN: usize = 1;

/// The handlers, and `sa_flags` of each.
pub(super) static HANDLERS: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(SIG_DFL) }; SIGNALS];
pub(super) static FLAGS: [AtomicI32; SIGNALS] = [const { AtomicI32::new(0) }; SIGNALS];

/// Stands for the image's own report of a CPU exception. A handler calls it to pass the exception on to the previous
/// handler: without one, the exception is raised again and reported.
pub(super) extern "C" fn report(signal: c_int) {
    HANDLERS[signal as usize].store(SIG_DFL, Ordering::Relaxed);
}

/// Whether this is no handler of the program's.
pub(super) fn is_none(handler: usize) -> bool {
    [SIG_DFL, SIG_IGN, report as extern "C" fn(c_int) as usize].contains(&handler)
}

/// The handler to call for an exception, if the program has one, and whether on the thread's alternate stack.
pub(super) fn take_handler(signal: c_int) -> Option<(usize, bool)> {
    let handler = HANDLERS[signal as usize].load(Ordering::Relaxed);
    let flags = FLAGS[signal as usize].load(Ordering::Relaxed);
    if is_none(handler) {
        return None;
    }
    if flags & SA_RESETHAND != 0 {
        HANDLERS[signal as usize].store(SIG_DFL, Ordering::Relaxed);
    }
    Some((handler, flags & SA_ONSTACK != 0))
}

/// `siginfo_t`.
#[repr(C)]
pub(super) struct Information {
    signal: c_int,
    error: c_int,
    code: c_int,
    padding: c_int,
    /// An exception's address, or the process that has sent the signal, and its user.
    from: u64,
    rest: [u64; 13],
}

impl Information {
    pub(super) fn new(signal: c_int, code: c_int, from: u64) -> Self {
        Information { signal, error: 0, code, padding: 0, from, rest: [0; 13] }
    }
}

/// In `sa_flags`: the handler is for one signal.
pub(super) const SA_RESETHAND: c_int = 0x8000_0000_u32 as c_int;
/// The handler of an exception is called on the alternate stack.
const SA_ONSTACK: c_int = 0x0800_0000;
/// Words of `ucontext_t`: the registers of what was interrupted, which is nothing unless it was by an exception.
pub(super) const CONTEXT: usize = 121;
pub(super) type Context = [u64; CONTEXT];

/// A stack for handlers: its lowest address and its size, which is 0 if there is none.
type Alternate = Cell<(usize, usize)>;

/// That of the main stack. Threads have their own.
struct Only(Alternate);
// SAFETY: an image has one thread of execution; the tests of the host use it in one.
unsafe impl Sync for Only {}
static MAIN_ALTERNATE: Only = Only(Cell::new((0, 0)));

/// The alternate stack of the thread that runs.
pub(super) fn alternate() -> &'static Alternate {
    Block::current().map_or(&MAIN_ALTERNATE.0, |block| &block.alternate)
}
