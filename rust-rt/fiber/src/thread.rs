//! One thread: a task of the executor with a stack.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::any::Any;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::ptr;
use core::task::{Context, Poll};

use mirust_executor::domain;

use crate::cannot::CannotBlock;
use crate::host::Host;
use crate::stack::{Pool, Stack};
use crate::switch::{self, prepare, switch};
use crate::{order, turn, watch};

/// What a thread asks the main stack to do for it, until it returns true.
type Request<'a> = dyn FnMut(&mut Context<'_>) -> bool + 'a;

/// Bytes of a name. Longer ones are truncated.
const NAME: usize = 32;

/// Bytes that a thread takes at most besides its stack.
const PIECES: usize = 2048;

/// How often in a row a thread's requests are answered at once, before the others have their turn.
const ROUNDS: usize = 32;

/// A thread.
pub struct Thread {
    number: u32,
    name: Cell<[u8; NAME]>,
    stack: Stack,
    /// Where its own frames begin: above is its thread-local storage.
    top: usize,
    /// The thread pointer.
    tls: usize,
    /// Its own words while it does not run.
    own: Cell<[usize; 2]>,
    /// Where it was left, while it does not run.
    context: Cell<switch::Context>,
    /// What it waits for, which lives on its stack.
    request: Cell<Option<*mut Request<'static>>>,
    /// What the request panicked with.
    panicked: Cell<Option<Box<dyn Any + Send>>>,
    run: Cell<Option<Box<dyn FnOnce()>>>,
    ended: Cell<bool>,
}

/// How a thread is to be started.
pub struct Start<'a> {
    /// The requested size of the stack in bytes; 0 for the default. See [`stack::size`](crate::stack::size).
    pub stack: usize,
    /// Its name.
    pub name: &'a str,
    /// The initial values of its own words; see [`Host::own`].
    pub own: [usize; 2],
}

/// There is no memory for another thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoMemory;

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no memory for the stack of another thread")
    }
}

impl core::error::Error for NoMemory {}

/// Counters of threads.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Stats {
    /// Threads that have not ended, the main stack left out.
    pub threads: usize,
    /// Threads that were started since boot.
    pub started: u64,
    /// Switches to a thread.
    pub switches: u64,
    /// How often a thread ran for longer than the [limit](crate::set_limit) before it blocked.
    pub long_runs: u64,
    /// Bytes of stacks, those kept for the next threads included.
    pub stack_bytes: usize,
    /// Bytes that the stack of one more thread like the last would take: 0 if there is one for it, or none was started.
    pub next_bytes: usize,
}

/// All threads of the domain.
struct Threads {
    host: Cell<Option<&'static Host>>,
    /// The running thread; null on the main stack.
    current: Cell<*const Thread>,
    /// Where the main stack was left, while a thread runs.
    main: Cell<switch::Context>,
    main_own: Cell<[usize; 2]>,
    pool: RefCell<Pool>,
    /// For crash reports: see [`stack_owner`].
    alive: RefCell<Vec<*const Thread>>,
    started: Cell<u32>,
    switches: Cell<u64>,
    /// Bytes of the last stack that was asked for.
    last: Cell<usize>,
}

/// Wrapped for the reason that is given at `threads`.
struct OneThread(Threads);

// SAFETY: `threads` is the only way to it, and lets the domain's thread of execution alone pass.
unsafe impl Sync for OneThread {}

static THREADS: OneThread = OneThread(Threads {
    host: Cell::new(None),
    current: Cell::new(ptr::null()),
    main: Cell::new(ptr::null_mut()),
    main_own: Cell::new([0; 2]),
    pool: RefCell::new(Pool::new()),
    alive: RefCell::new(Vec::new()),
    started: Cell::new(0),
    switches: Cell::new(0),
    last: Cell::new(0),
});

/// The threads. An image has one thread of execution; in a process, asking for the domain panics on
/// any thread but the one that owns it.
#[inline]
fn threads() -> &'static Threads {
    #[cfg(not(feature = "image"))]
    domain::get();
    &THREADS.0
}

/// Supplies what threads need. The first call counts.
pub fn set_host(host: &'static Host) {
    let threads = threads();
    if threads.host.get().is_none() {
        threads.host.set(Some(host));
    }
}

/// The running thread. `None` on the main stack, also while that works on behalf of a thread.
#[inline]
pub(crate) fn running() -> Option<&'static Thread> {
    // SAFETY: null, or a thread that runs now: its task keeps it until it has ended. The reference is used by
    // code on the thread's own stack, which is gone by then.
    unsafe { threads().current.get().as_ref() }
}

/// What `f` makes of the running thread. `None` on the main stack, also while that works on behalf of a thread.
#[inline]
pub fn current<R>(f: impl FnOnce(&Thread) -> R) -> Option<R> {
    running().map(f)
}

/// Counters.
pub fn stats() -> Stats {
    let threads = threads();
    let (alive, pool) = (threads.alive.borrow(), threads.pool.borrow());
    let last = threads.last.get();
    Stats {
        threads: alive.len(),
        started: threads.started.get().into(),
        switches: threads.switches.get(),
        long_runs: watch::long_runs(),
        // SAFETY: threads are in the list as long as they live.
        stack_bytes: alive.iter().map(|&t| unsafe { (*t).stack.bytes }).sum::<usize>()
            + pool.bytes(),
        next_bytes: if pool.has(last) { 0 } else { last },
    }
}

/// The name of the thread whose stack has overflowed, if that is the cause of an exception at `address`. Takes no
/// lock, and allocates nothing.
///
/// # Safety
///
/// For a crash report, after which no thread runs: the name is the thread's own.
pub unsafe fn stack_owner(address: usize) -> Option<&'static str> {
    // Not by `threads`: a crash may happen in the middle of anything.
    let alive = THREADS.0.alive.try_borrow().ok()?;
    // SAFETY: threads are in the list as long as they live, which is for ever from now on.
    let thread = alive.iter().map(|&t| unsafe { &*t }).find(|t| t.stack.guards(address))?;
    // SAFETY: nobody sets it any more.
    Some(text(unsafe { &*thread.name.as_ptr() }))
}

/// A name, as its bytes and zeroes behind them.
fn text(name: &[u8; NAME]) -> &str {
    let len = name.iter().position(|&b| b == 0).unwrap_or(NAME);
    core::str::from_utf8(&name[..len]).unwrap_or("?")
}

/// Starts a thread that calls `run` and ends. It runs from the next poll on, never inside this call.
///
/// `run` must not unwind: a panic that leaves it ends the program.
///
/// # Errors
///
/// [`NoMemory`], if there is not enough for its stack.
///
/// # Panics
///
/// Without a [host](set_host).
pub fn start(start: Start<'_>, run: impl FnOnce() + 'static) -> Result<(), NoMemory> {
    let threads = threads();
    let host = threads.host.get().expect("threads have a host");
    let bytes = crate::stack::size(start.stack, (host.memory)());
    threads.last.set(bytes);
    // Above its frames, which it thereby cannot run over, there is its thread-local storage.
    let stack = threads.pool.borrow_mut().take(host, bytes).ok_or(NoMemory)?;
    let (below, above) = (host.tls_sizes)();
    let tls = (stack.top() - above) & !63;
    let top = (tls - below) & !15;
    if top < stack.low + crate::stack::LEAST / 2 {
        threads.pool.borrow_mut().put(host, stack);
        return Err(NoMemory);
    }
    // Whatever else it takes comes from the heap in small pieces, which the heap cuts this block into if it has nothing
    // else: Rust does not tell whether there is memory for an Rc.
    let mut pieces = Vec::<u8>::new();
    let there = pieces.try_reserve_exact(PIECES).is_ok();
    core::hint::black_box(pieces.as_mut_ptr());
    drop(pieces);
    if !there {
        threads.pool.borrow_mut().put(host, stack);
        return Err(NoMemory);
    }
    // SAFETY: the block is in the new stack's memory, aligned, and nobody's yet.
    unsafe { (host.tls_init)(tls) };
    threads.started.set(threads.started.get() + 1);
    let thread = Rc::new(Thread {
        number: threads.started.get() + 1,
        name: Cell::new([0; NAME]),
        stack,
        top,
        tls,
        own: Cell::new(start.own),
        context: Cell::new(ptr::null_mut()),
        request: Cell::new(None),
        panicked: Cell::new(None),
        run: Cell::new(Some(Box::new(run))),
        ended: Cell::new(false),
    });
    thread.set_name(start.name);
    let pointer = ptr::with_exposed_provenance_mut(top);
    // SAFETY: the top of a fresh stack, aligned above. The thread outlives its stack: its task has it.
    thread.context.set(unsafe { prepare(pointer, enter, Rc::as_ptr(&thread).cast()) });
    threads.alive.borrow_mut().push(Rc::as_ptr(&thread));
    domain::spawn(Body(thread));
    Ok(())
}

/// The first function on a thread's stack.
extern "C" fn enter(thread: *const ()) -> ! {
    // SAFETY: what `start` has passed; the task keeps it while we run.
    let thread = unsafe { &*thread.cast::<Thread>() };
    let run = thread.run.take().expect("a thread is started once");
    run();
    thread.ended.set(true);
    thread.leave();
    unreachable!("a thread that has ended was switched to")
}

impl Thread {
    /// A number that no other thread has or had. The main stack's would be 1.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its stack's lowest address, and one beyond its highest.
    pub fn stack(&self) -> (usize, usize) {
        (self.stack.low, self.top)
    }

    /// Calls `f` with its name.
    pub fn with_name<R>(&self, f: impl FnOnce(&str) -> R) -> R {
        f(text(&self.name.get()))
    }

    /// Logs that. It is here, with the text as arguments, because the linker does not drop format strings and source
    /// locations, so that an image without threads would contain them.
    fn has_run_for(&self, ms: u64) {
        let words = ["thread", "has run for", "ms: nothing else could meanwhile"];
        self.with_name(|name| {
            log::warn!(target: "threads", "{} {name} {} {ms} {}", words[0], words[1], words[2]);
        });
    }

    /// Renames it; only the first 32 bytes count.
    pub fn set_name(&self, name: &str) {
        let mut bytes = [0; NAME];
        let end = (0..=name.len().min(NAME)).rev().find(|&i| name.is_char_boundary(i));
        let end = end.unwrap_or(0);
        bytes[..end].copy_from_slice(&name.as_bytes()[..end]);
        self.name.set(bytes);
    }

    /// Ends the running thread, wherever it is: nothing on its stack is dropped.
    ///
    /// # Safety
    ///
    /// Nothing refers to its stack as to a place where something is pinned or borrowed: both are over only once it has
    /// been dropped.
    pub unsafe fn exit(&self) -> ! {
        assert!(ptr::eq(threads().current.get(), self), "only a thread itself can end it");
        self.ended.set(true);
        self.leave();
        unreachable!("a thread that has ended was switched to")
    }

    /// On the thread: makes the main stack call `request`, now and whenever its waker is called, until it returns true.
    pub(crate) fn ask(&self, request: &mut Request<'_>) -> Result<(), CannotBlock> {
        let request: *mut Request<'_> = request;
        // SAFETY: both are the same pointer. The request outlives its use: we do not return before the
        // task has taken it out of the cell for good.
        let request =
            unsafe { core::mem::transmute::<*mut Request<'_>, *mut Request<'static>>(request) };
        self.request.set(Some(request));
        self.leave();
        match self.panicked.take() {
            Some(payload) => Err(CannotBlock::Panicked(payload)),
            None => Ok(()),
        }
    }

    /// On the thread: switches to the main stack. Returns when its task switches back.
    fn leave(&self) {
        // SAFETY: we run, so the main stack was left in `enter_thread`, and is entered once.
        unsafe { switch(self.context.as_ptr(), threads().main.get()) }
    }

    /// On the main stack: lets the thread run until it leaves.
    fn run(&self) {
        let threads = threads();
        let host = threads.host.get().expect("it was there when the thread was started");
        threads.switches.set(threads.switches.get() + 1);
        let own = (host.own)();
        // SAFETY: the words live for ever, and only this thread of execution accesses them. The block was
        // initialised in `start`. The thread was left in `leave`, or prepared, and is entered once: no other
        // thread runs, because we are in its task's turn and turns do not nest.
        unsafe {
            threads.main_own.set(own.replace(self.own.get()));
            (host.tls_use)(self.tls);
            threads.current.set(self);
            let watch = watch::begin();
            turn::begin();
            switch(threads.main.as_ptr(), self.context.get());
            turn::end();
            threads.current.set(ptr::null());
            (host.tls_use)(0);
            self.own.set(own.replace(threads.main_own.get()));
            if let Some(ms) = watch::end(watch) {
                self.has_run_for(ms);
            }
        }
    }

    /// On the main stack: polls what the thread waits for. False if it has to wait longer.
    fn answer(&self, cx: &mut Context<'_>) -> bool {
        let Some(request) = self.request.take() else { return true };
        let mut done = false;
        // SAFETY: it lives on the thread's stack, and the thread does not run before it was answered.
        let mut call = || done = unsafe { (*request)(cx) };
        if let Err(payload) = domain::get().guard()(&mut call) {
            self.panicked.set(Some(payload));
            return true;
        }
        if !done {
            self.request.set(Some(request));
        }
        done
    }
}

/// The task of a thread. If it is dropped before the thread has ended (with the domain), the stack
/// is never freed: nothing else can drop what is on it.
struct Body(Rc<Thread>);

impl Future for Body {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let thread = &*self.0;
        if order::postpone() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        for _ in 0..ROUNDS {
            if !thread.answer(cx) {
                return Poll::Pending;
            }
            thread.run();
            if thread.ended.get() {
                let threads = threads();
                threads.alive.borrow_mut().retain(|&t| !ptr::eq(t, thread));
                if let Some(host) = threads.host.get() {
                    threads.pool.borrow_mut().put(host, thread.stack);
                }
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
