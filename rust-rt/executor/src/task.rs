//! One task: what its wakers, the executor and its [`JoinHandle`] share.
//!
//! All of it is one allocation. Wakers, on any thread, use three fields of the [`Header`]. The rest belongs to the
//! domain's thread: the executor has the future until the task is done, the handle has the result from then on. These
//! two have one reference between them, and every waker has its own. When the last one goes, perhaps on another thread,
//! future and result have been dropped already.

use alloc::boxed::Box;
use core::any::Any;
use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use crate::inbox::Inbox;
use crate::slab::TaskId;

/// A task whose future is an `F`. A pointer to the header is a pointer to the task.
#[repr(C)]
struct Shared<F: Future> {
    header: Header,
    stage: UnsafeCell<Stage<F>>,
}

enum Stage<F: Future> {
    Running(F),
    Settled(Result<F::Output, JoinError>),
    /// The result was taken, or nobody waits for it.
    Over,
}

struct Header {
    id: TaskId,
    inbox: &'static Inbox,
    /// The task is in the run queue, or done, so that nothing queues it any more.
    queued: AtomicBool,
    /// Wakers, and one for executor and handle.
    references: AtomicUsize,
    kind: &'static Kind,
    progress: Progress,
}

/// How far a task is, as its executor and its handle know it.
#[derive(Default)]
struct Progress {
    /// Its future is to be dropped instead of polled.
    abort: Cell<bool>,
    /// Its future is gone and its result is there, or was.
    done: Cell<bool>,
    /// Nobody waits for its result.
    detached: Cell<bool>,
    /// Wakes the task that waits for the result.
    waiter: Cell<Option<Waker>>,
    /// Executor or handle has let go: the other one has the reference.
    one_left: Cell<bool>,
}

impl Header {
    /// Queues the task, unless it is queued already.
    #[inline]
    fn queue(&self) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.inbox.push_ready(self.id);
        }
    }

    /// The task has left the run queue. From here on a wake queues it again, even one that comes in
    /// the middle of the poll that follows: a swap, so that the poll sees what was written before a
    /// wake that found the task still queued.
    #[inline]
    fn begin(&self) {
        self.queued.swap(false, Ordering::AcqRel);
    }
}

/// Gives a reference back.
///
/// # Safety
///
/// The caller has one, and does not use it again.
#[inline]
unsafe fn release(task: NonNull<Header>) {
    // SAFETY: the caller's reference keeps it.
    let header = unsafe { task.as_ref() };
    // The only reference need not be counted down: nobody else can make another.
    if header.references.load(Ordering::Acquire) == 1
        || header.references.fetch_sub(1, Ordering::AcqRel) == 1
    {
        // SAFETY: it was the last.
        unsafe { (header.kind.free)(task) }
    }
}

/// Executor or handle lets go.
///
/// # Safety
///
/// The caller is one of the two, and does not use the task again.
#[inline]
unsafe fn let_go(task: NonNull<Header>) {
    // SAFETY: the two have a reference.
    if unsafe { task.as_ref() }.progress.one_left.replace(true) {
        // SAFETY: as our caller promises; the other has done the same before.
        unsafe { release(task) }
    }
}

/// What wakers do: a waker's data is the task's header. They may be on any thread, and use `id`,
/// `inbox`, `queued` and `references` only, which never change or are atomic.
static WAKER: RawWakerVTable = {
    /// # Safety
    ///
    /// As of all four: the data of a waker, and so a reference to the task.
    unsafe fn clone(task: *const ()) -> RawWaker {
        // SAFETY: the waker has a reference.
        let header = unsafe { &*task.cast::<Header>() };
        let before = header.references.fetch_add(1, Ordering::Relaxed);
        assert!(before < usize::MAX / 2, "a task has no more wakers than bytes of memory");
        RawWaker::new(task, &WAKER)
    }
    /// # Safety
    ///
    /// As of `clone`.
    unsafe fn wake_by_ref(task: *const ()) {
        // SAFETY: the waker has a reference.
        unsafe { &*task.cast::<Header>() }.queue();
    }
    /// # Safety
    ///
    /// As of `clone`; the reference is given up.
    unsafe fn wake(task: *const ()) {
        // SAFETY: the waker has a reference, and gives it up.
        unsafe {
            wake_by_ref(task);
            drop(task);
        }
    }
    /// # Safety
    ///
    /// As of `clone`; the reference is given up.
    unsafe fn drop(task: *const ()) {
        // SAFETY: the waker has a reference, and gives it up. It came from `poll`, not null.
        unsafe { release(NonNull::new_unchecked(task.cast_mut().cast())) }
    }
    RawWakerVTable::new(clone, wake, wake_by_ref, drop)
};

/// The operations on a task for code that does not know the type of its future. All except `free` are for the domain's
/// thread, and leave the task as described.
struct Kind {
    /// For the executor, until the task is done: polls the future. If it is ready, drops it and
    /// settles the result. Returns whether it was.
    poll: unsafe fn(NonNull<Header>) -> bool,
    /// For the executor, until the task is done: drops the future, if it is still there.
    cancel: unsafe fn(NonNull<Header>),
    /// For the executor, until the task is done, after `cancel`: settles an error.
    fail: unsafe fn(NonNull<Header>, JoinError),
    /// For the handle, once the task is done: writes the result, once, to an `Option` of it.
    take: unsafe fn(NonNull<Header>, *mut ()),
    /// For the owner of the last reference.
    free: unsafe fn(NonNull<Header>),
}

impl<F: Future> Shared<F> {
    const KIND: &'static Kind = &Kind {
        poll: Self::poll,
        cancel: Self::cancel,
        fail: Self::fail,
        take: Self::take,
        free: Self::free,
    };

    /// # Safety
    ///
    /// The task's future is an `F`, and somebody has a reference.
    unsafe fn stage(task: NonNull<Header>) -> *mut Stage<F> {
        // SAFETY: the header is the first field of a `Shared<F>`.
        unsafe { UnsafeCell::raw_get(&raw const (*task.cast::<Self>().as_ptr()).stage) }
    }

    /// # Safety
    ///
    /// The caller is the executor, the task's future is an `F`, and the task is not done.
    unsafe fn poll(task: NonNull<Header>) -> bool {
        // A waker without a reference of its own: it lends the executor's.
        let raw = RawWaker::new(task.as_ptr().cast_const().cast(), &WAKER);
        // SAFETY: the table is for tasks. The waker is not dropped.
        let waker = ManuallyDrop::new(unsafe { Waker::from_raw(raw) });
        // SAFETY: the stage is the executor's. The future's code reaches the stage by a handle only,
        // which leaves it alone until the task is done.
        let Stage::Running(future) = (unsafe { &mut *Self::stage(task) }) else { return true };
        // SAFETY: the future stays where it is until it is dropped: nothing moves out of the stage
        // while it is running.
        let future = unsafe { Pin::new_unchecked(future) };
        let Poll::Ready(output) = future.poll(&mut Context::from_waker(&waker)) else {
            return false;
        };
        // SAFETY: the caller is the executor.
        unsafe {
            Self::cancel(task);
            Self::settle(task, Ok(output));
        }
        true
    }

    /// # Safety
    ///
    /// As of [`poll`](Self::poll).
    unsafe fn cancel(task: NonNull<Header>) {
        /// Whatever becomes of the drop, the future is gone.
        struct Over<F: Future>(*mut Stage<F>);
        impl<F: Future> Drop for Over<F> {
            fn drop(&mut self) {
                // SAFETY: the stage is the executor's. The future has been dropped, or its drop has
                // panicked: it is overwritten as it is.
                unsafe { self.0.write(Stage::Over) }
            }
        }
        // SAFETY: the stage is the executor's, and no reference to it is kept. A handle that the
        // future owns, and drops, finds that the task is not done and leaves the stage alone.
        unsafe {
            let over = Over(Self::stage(task));
            over.0.drop_in_place();
        }
    }

    /// # Safety
    ///
    /// As of [`poll`](Self::poll), after [`cancel`](Self::cancel).
    unsafe fn fail(task: NonNull<Header>, error: JoinError) {
        // SAFETY: the caller is the executor, and has called `cancel`.
        unsafe { Self::settle(task, Err(error)) }
    }

    /// The future is gone: the result takes its place, and the handle hears of it.
    ///
    /// # Safety
    ///
    /// The caller is the executor, the task is not done, and its stage is `Over`.
    #[inline]
    unsafe fn settle(task: NonNull<Header>, result: Result<F::Output, JoinError>) {
        // SAFETY: the executor has a reference.
        let header = unsafe { task.as_ref() };
        // What wakes it from now on finds it queued. What has queued it names nobody, as the executor
        // is about to give up the name.
        header.queued.store(true, Ordering::Release);
        header.progress.done.set(true);
        if header.progress.detached.get() {
            // May run anything.
            drop(result);
            return;
        }
        // SAFETY: the stage is the executor's until the handle looks at it. It is `Over`, which needs
        // no drop.
        unsafe { Self::stage(task).write(Stage::Settled(result)) };
        if let Some(waker) = header.progress.waiter.take() {
            waker.wake();
        }
    }

    /// # Safety
    ///
    /// The caller is the handle, the task's future is an `F`, and the task is done. `result` is an
    /// `Option<Result<F::Output, JoinError>>` of the caller's that is `None`.
    unsafe fn take(task: NonNull<Header>, result: *mut ()) {
        // SAFETY: the stage is the handle's, as the task is done. Nothing is moved but the result,
        // and what it was read from is overwritten without a drop. The caller's `Option` is for a
        // result of this type.
        unsafe {
            let stage = Self::stage(task);
            if let Stage::Settled(settled) = &*stage {
                result
                    .cast::<Option<Result<F::Output, JoinError>>>()
                    .write(Some(core::ptr::read(settled)));
                stage.write(Stage::Over);
            }
        }
    }

    /// # Safety
    ///
    /// The task's future is an `F`, and the caller gave up its last reference.
    unsafe fn free(task: NonNull<Header>) {
        // SAFETY: it was made by `Box::new`, as a `Shared<F>`, and nobody else has a reference.
        drop(unsafe { Box::from_raw(task.cast::<Self>().as_ptr()) });
    }
}

/// The part of a task that the executor owns. Only the executor has one, and uses it until the task
/// has ended.
pub(crate) struct Task(NonNull<Header>);

impl Task {
    /// A task that runs `future`, in the run queue, and the handle for its result.
    #[inline]
    pub(crate) fn new<F>(
        id: TaskId,
        inbox: &'static Inbox,
        future: F,
    ) -> (Self, JoinHandle<F::Output>)
    where
        F: Future + 'static,
    {
        inbox.push_ready(id);
        let task = Box::new(Shared {
            header: Header {
                id,
                inbox,
                queued: AtomicBool::new(true),
                references: AtomicUsize::new(1),
                kind: Shared::<F>::KIND,
                progress: Progress::default(),
            },
            stage: UnsafeCell::new(Stage::Running(future)),
        });
        let task = NonNull::from(Box::leak(task)).cast();
        (Task(task), JoinHandle { task, _result: PhantomData })
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: we have a reference.
        unsafe { self.0.as_ref() }
    }

    /// One turn: polls the future, or drops it if the task was aborted. Returns whether the task has
    /// ended. May panic, with what the future's code panics with: see [`failed`](Self::failed).
    #[inline]
    pub(crate) fn turn(&self) -> bool {
        self.header().begin();
        if self.header().progress.abort.get() {
            self.end(JoinError::Aborted);
            return true;
        }
        // SAFETY: we are the executor, and would have given up a task that is done.
        unsafe { (self.header().kind.poll)(self.0) }
    }

    /// Its turn panicked: the future has to go, and the handle gets the payload. Gives the payload
    /// back if the task had its result by then. May panic, if the future's destructors do.
    pub(crate) fn failed(&self, payload: Payload) -> Option<Payload> {
        if self.header().progress.done.get() {
            return Some(payload);
        }
        self.end(JoinError::Panicked(payload));
        None
    }

    /// Drops the future and settles `error`, if only when a panic of a destructor passes. The task is
    /// not done.
    fn end(&self, error: JoinError) {
        struct Settle<'a>(&'a Task, Option<JoinError>);
        impl Drop for Settle<'_> {
            fn drop(&mut self) {
                if let Some(error) = self.1.take() {
                    // SAFETY: as in `end`; the future is gone.
                    unsafe { (self.0.header().kind.fail)(self.0.0, error) }
                }
            }
        }
        let _settle = Settle(self, Some(error));
        // SAFETY: we are the executor, and our caller knows that the task is not done.
        unsafe { (self.header().kind.cancel)(self.0) }
    }
}

/// Gives a reference to a task back when it is dropped: also when the destructor of a future, or of a result,
/// panics before that.
struct LetGo(NonNull<Header>);

impl LetGo {
    /// # Safety
    ///
    /// The caller owns the reference, and does not use it after this is dropped.
    #[inline]
    unsafe fn at_the_end(task: NonNull<Header>) -> LetGo {
        LetGo(task)
    }
}

impl Drop for LetGo {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the code that made this `LetGo` has promised what `let_go` requires.
        unsafe { let_go(self.0) }
    }
}

impl Drop for Task {
    /// However a task ends, its handle hears of it: also by the executor's end, or by a panic that
    /// nobody caught.
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the executor does not use its reference again.
        let _let_go = unsafe { LetGo::at_the_end(self.0) };
        if !self.header().progress.done.get() {
            self.end(JoinError::Aborted);
        }
    }
}

/// Waits for a task's result, and can abort it.
///
/// Await it to get `Ok` with the result, or why there is none. Dropping it detaches the task, which
/// runs on; its result is then dropped when it ends. Belongs to the domain's thread.
///
/// # Panics
///
/// If it is polled again after it gave its result.
pub struct JoinHandle<T> {
    task: NonNull<Header>,
    _result: PhantomData<fn() -> T>,
}

impl<T> JoinHandle<T> {
    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: we have a reference.
        unsafe { self.task.as_ref() }
    }

    /// Asks for the task's end. Its future is dropped at the task's next turn, never inside this
    /// call, so a task may abort any task, itself included. A task that ends before that turn has
    /// its ordinary result; for one that has ended already this does nothing.
    pub fn abort(&self) {
        if !self.is_finished() {
            self.header().progress.abort.set(true);
            self.header().queue();
        }
    }

    /// Whether the result is there (or was taken), so that awaiting would not wait.
    pub fn is_finished(&self) -> bool {
        self.header().progress.done.get()
    }

    /// The result, once the task is done, once.
    fn take(&self) -> Option<Result<T, JoinError>> {
        let mut result: Option<Result<T, JoinError>> = None;
        if self.is_finished() {
            // SAFETY: we are the handle, the task is done, and its result is of this type.
            unsafe { (self.header().kind.take)(self.task, (&raw mut result).cast()) }
        }
        result
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.is_finished() {
            let result = self.take();
            return Poll::Ready(result.expect("a JoinHandle was polled after it gave its result"));
        }
        let waiter = &self.header().progress.waiter;
        let waker = match waiter.take() {
            Some(waker) if waker.will_wake(cx.waker()) => waker,
            _ => cx.waker().clone(),
        };
        waiter.set(Some(waker));
        Poll::Pending
    }
}

impl<T> Drop for JoinHandle<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the handle does not use its reference again.
        let _let_go = unsafe { LetGo::at_the_end(self.task) };
        self.header().progress.detached.set(true);
        drop(self.header().progress.waiter.take());
        drop(self.take());
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("task", &self.header().id)
            .field("finished", &self.is_finished())
            .finish()
    }
}

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Why a task gave no result.
pub enum JoinError {
    /// [`JoinHandle::abort`] was called, or the executor ended before the task.
    Aborted,
    /// The task panicked; the payload is the panic's.
    Panicked(Box<dyn Any + Send>),
}

impl JoinError {
    /// The panic's message, if there was a panic with a text for its payload.
    pub fn panic_message(&self) -> Option<&str> {
        match self {
            JoinError::Aborted => None,
            JoinError::Panicked(payload) => panic_text(&**payload),
        }
    }
}

/// The text in a panic's payload.
fn panic_text(payload: &(dyn Any + Send)) -> Option<&str> {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<alloc::string::String>().map(|s| s.as_str()))
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.panic_message()) {
            (JoinError::Aborted, _) => f.write_str("task aborted"),
            (JoinError::Panicked(_), Some(text)) => write!(f, "task panicked: {text}"),
            (JoinError::Panicked(_), None) => f.write_str("task panicked"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Aborted => f.write_str("Aborted"),
            JoinError::Panicked(_) => {
                f.debug_tuple("Panicked").field(&self.panic_message()).finish()
            }
        }
    }
}

impl core::error::Error for JoinError {}
