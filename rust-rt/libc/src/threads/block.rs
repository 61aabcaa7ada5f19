//! What a thread has besides its stack: a `pthread_t` is the address of this.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::errno;
use crate::stack_signals::{self, Signals};

/// The number of the process and of its main stack.
pub(crate) const MAIN: c_int = 1;

/// The number of the thread that runs; the main stack's is [`MAIN`].
pub(crate) fn number() -> c_int {
    // SAFETY: the words live for ever, and no reference to them exists.
    let number = unsafe { (*errno::own()).number };
    if number == 0 { MAIN } else { number }
}

/// Threads that were started and have not ended, and the main stack.
static LIVING: AtomicUsize = AtomicUsize::new(1);

/// How many threads there are, with the main stack.
pub(crate) fn living() -> usize {
    LIVING.load(Ordering::Relaxed)
}

/// A thread was started.
pub(super) fn one_more() {
    LIVING.fetch_add(1, Ordering::Relaxed);
}

/// A thread has ended.
pub(super) fn one_less() {
    LIVING.fetch_sub(1, Ordering::Relaxed);
}

/// Keys of `pthread_key_create`: as many as POSIX asks for.
pub(crate) const KEYS: usize = 128;

/// What a thread has set for a key of `pthread_key_create`.
pub(crate) struct Value {
    /// The number of the key that it was set for. Others may have had the same place before, and may have it later.
    pub(crate) of: Cell<u64>,
    pub(crate) pointer: Cell<*mut c_void>,
}

impl Value {
    /// NULL, of no key.
    pub(crate) const fn new() -> Self {
        Value { of: Cell::new(0), pointer: Cell::new(ptr::null_mut()) }
    }
}

/// What is called at the end of a thread, or of the program.
pub(crate) struct Handler {
    pub(crate) function: unsafe extern "C" fn(*mut c_void),
    pub(crate) argument: *mut c_void,
}

// SAFETY: the image has one thread; the pointer is only handed back to its function.
unsafe impl Send for Handler {}

pub(crate) struct Block {
    /// What it was started with.
    pub(super) function: unsafe extern "C" fn(*mut c_void) -> *mut c_void,
    pub(super) argument: *mut c_void,
    /// What it returned.
    pub(super) result: Cell<*mut c_void>,
    pub(super) ended: Cell<bool>,
    /// Nobody will join it: it takes its block with it.
    pub(super) detached: Cell<bool>,
    /// Somebody joins it already.
    pub(super) joined: Cell<bool>,
    /// Its name for whom it is made of, once it runs.
    pub(super) fiber: Cell<*const ()>,
    /// Its stack, once it runs.
    pub(super) bounds: Cell<(usize, usize)>,
    pub(super) name: Cell<[u8; 16]>,
    /// Values of `pthread_getspecific`.
    pub(crate) values: [Value; KEYS],
    /// Destructors of thread-local variables, the first registered first.
    pub(crate) destructors: Cell<Vec<Handler>>,
    /// What `sigaltstack` has set: the lowest address, and the size.
    pub(crate) alternate: Cell<(usize, usize)>,
    pub(crate) signals: Signals,
}

impl Block {
    pub(super) fn new(
        function: unsafe extern "C" fn(*mut c_void) -> *mut c_void,
        argument: *mut c_void,
        detached: bool,
    ) -> Box<Self> {
        Box::new(Block {
            function,
            argument,
            result: Cell::new(ptr::null_mut()),
            ended: Cell::new(false),
            detached: Cell::new(detached),
            joined: Cell::new(false),
            fiber: Cell::new(ptr::null()),
            bounds: Cell::new((0, 0)),
            name: Cell::new([0; 16]),
            values: [const { Value::new() }; KEYS],
            destructors: Cell::default(),
            alternate: Cell::default(),
            signals: Signals::new(),
        })
    }

    /// That of the thread that runs; none on the main stack.
    pub(crate) fn current() -> Option<&'static Block> {
        // SAFETY: null, or the block of the thread that runs, which ends before it.
        unsafe { (*errno::own()).block.cast::<Block>().as_ref() }
    }

    /// What the stack that runs has of signals.
    pub(crate) fn signals() -> &'static Signals {
        Block::current().map_or(stack_signals::main(), |block| &block.signals)
    }

    /// Runs this as a thread that the stack which runs has started.
    #[cfg(test)]
    pub(crate) fn run_thread(f: impl FnOnce()) {
        unsafe extern "C" fn none(_: *mut c_void) -> *mut c_void {
            ptr::null_mut()
        }
        let block = Block::new(none, ptr::null_mut(), false);
        stack_signals::begin(&block.signals, Block::signals().blocked.get());
        // SAFETY: the words live for ever, and no reference to them exists.
        let place = unsafe { &raw mut (*errno::own()).block };
        // SAFETY: as above; the block lives until the other one is back.
        let before = unsafe { place.replace(ptr::from_ref(&*block).cast()) };
        f();
        // SAFETY: as above.
        unsafe { place.write(before) };
        stack_signals::end(&block.signals);
    }

    /// That of a thread that C code names.
    ///
    /// # Safety
    ///
    /// `thread` is a `pthread_t` that is neither joined nor, if detached, ended.
    pub(crate) unsafe fn of<'a>(thread: usize) -> Option<&'a Block> {
        // The main stack's has no block.
        if thread <= 1 {
            return None;
        }
        // SAFETY: the caller's promise.
        unsafe { ptr::with_exposed_provenance::<Block>(thread).as_ref() }
    }
}
