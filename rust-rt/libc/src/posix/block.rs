//! Blocking: the calls that wait, and the turns that a program owes the rest of the domain.
//!
//! Nothing here waits by itself. The image supplies a function that runs a future to its end ([`give`]): on the main
//! stack by polling the domain from within the program, on a thread by switching away. A call that must not wait where
//! it is, such as in a task of the executor, gets EDEADLK.
//!
//! Objects are asked on the main stack only ([`on_main`]), whichever thread calls.

use alloc::boxed::Box;
use alloc::rc::Rc;
use core::cell::Cell;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll};

use super::events::Events;
use super::local::local;
use super::memory;
use super::object::Object;
use super::parts::{Errno, Part, Result, total};
use super::table::Description;
use crate::errno::{EAGAIN, EDEADLK, EINTR};
use crate::stack_signals::Ends;
use crate::{deliver, host};

/// The caller is where nothing may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CannotBlock;

/// What blocking stands on.
#[derive(Clone, Copy)]
pub struct Blocking {
    /// Runs the future to its end, and the rest of the domain meanwhile.
    pub block_on: fn(Pin<&mut dyn Future<Output = ()>>) -> core::result::Result<(), CannotBlock>,
    /// A future that ends at a time, in nanoseconds since boot.
    pub sleep_until: fn(u64) -> Pin<Box<dyn Future<Output = ()>>>,
    /// Calls the function on the main stack, where the futures of `block_on` are polled, before it
    /// returns; nothing else of the program runs meanwhile.
    pub on_main: fn(&mut dyn FnMut()),
}

local! {
    static BLOCKING: Cell<Option<Blocking>> = Cell::new(None);
}

/// Gives what blocking calls need, before the program begins.
pub fn give(blocking: Blocking) {
    BLOCKING.with(|given| given.set(Some(blocking)));
}

/// Calls `f`, which asks objects for something, on the main stack. What sockets are made of is there alone, and
/// `f` is as one step to the program's threads. It may not wait.
pub(super) fn on_main<R>(f: impl FnOnce() -> R) -> R {
    let Some(blocking) = BLOCKING.with(Cell::get) else { return f() };
    let (mut f, mut result) = (Some(f), None);
    (blocking.on_main)(&mut || result = f.take().map(|f| f()));
    result.expect("the image has called what it was given")
}

/// A time that never comes.
pub(super) const NEVER: u64 = u64::MAX;

/// The monotonic clock, in nanoseconds.
pub(super) fn now() -> u64 {
    (host::get().monotonic_ns)()
}

/// The time `ns` from now.
pub(super) fn after(ns: u64) -> u64 {
    now().saturating_add(ns)
}

/// Ends at `deadline`; never without that.
pub(super) fn sleep_until(deadline: u64) -> Pin<Box<dyn Future<Output = ()>>> {
    match BLOCKING.with(Cell::get) {
        Some(blocking) if deadline != NEVER => (blocking.sleep_until)(deadline),
        _ => Box::pin(core::future::pending()),
    }
}

/// What a wait takes of the memory: a timer, and its places in lists.
const WAIT: usize = 512;

/// Waits until `attempt` has a result, which it is asked for whenever the waker is called, or until
/// `deadline`: nothing then. A handler ends it as `ends` says.
///
/// # Errors
///
/// EINTR; EDEADLK where nothing may wait; ENOMEM.
pub(super) fn until<T>(
    deadline: u64,
    ends: Option<Ends>,
    mut attempt: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Result<Option<T>> {
    memory::need(WAIT)?;
    let handled = ends.map(|ends| deliver::wait(ends, 0));
    let mut result = None;
    let mut sleep = (deadline != NEVER).then(|| sleep_until(deadline));
    let mut wait = pin!(poll_fn(|cx| {
        if let Poll::Ready(found) = attempt(cx) {
            result = Some(found);
            return Poll::Ready(());
        }
        if handled.as_ref().is_some_and(|wait| wait.is_over_or_wakes(cx)) {
            return Poll::Ready(());
        }
        sleep.as_mut().map_or(Poll::Pending, |sleep| sleep.as_mut().poll(cx))
    }));
    DEBT.with(|d| d.set(NO_DEBT));
    match BLOCKING.with(Cell::get).map(|blocking| (blocking.block_on)(wait.as_mut())) {
        Some(Ok(())) => {}
        Some(Err(CannotBlock)) | None => return Err(cannot()),
    }
    if result.is_none() && handled.is_some_and(|wait| wait.is_over()) {
        return Err(Errno(EINTR));
    }
    Ok(result)
}

/// Waits until `taken` gives something, at most until the deadline. Any handler ends that.
///
/// # Errors
///
/// EINTR, EDEADLK and ENOMEM, as numbers.
#[cfg(all(feature = "posix", any(test, feature = "symbols")))]
pub(crate) fn wait_for_signal<T>(
    deadline: u64,
    taken: &mut dyn FnMut() -> Option<T>,
) -> core::result::Result<Option<T>, core::ffi::c_int> {
    until(deadline, Some(Ends::Always), |_| taken().map_or(Poll::Pending, Poll::Ready))
        .map_err(|Errno(error)| error)
}

/// The answer of something that takes time.
///
/// # Errors
///
/// EDEADLK where nothing may wait.
pub(super) fn wait<T>(mut later: Pin<Box<dyn Future<Output = Result<T>>>>) -> Result<T> {
    until(NEVER, None, |cx| later.as_mut().poll(cx))?.unwrap_or(Err(Errno(EDEADLK)))
}

/// Says once why a call did not wait.
fn cannot() -> Errno {
    static LOGGED: AtomicBool = AtomicBool::new(false);
    if log::log_enabled!(log::Level::Warn) && !LOGGED.swap(true, Ordering::Relaxed) {
        log::warn!(
            target: "libc",
            "a blocking call inside a task or a call from OCaml fails: make it on a thread, or on the main stack"
        );
    }
    Errno(EDEADLK)
}

local! {
    /// The attempt is made by a call that will wait if it gets EAGAIN.
    static WAITS: Cell<bool> = Cell::new(false);
}

/// Whether the call that makes this attempt will wait if it gets EAGAIN: where nothing more can come, some calls only
/// end if they would have waited.
pub(super) fn waits() -> bool {
    WAITS.with(Cell::get)
}

/// Makes an attempt for a call that will wait.
fn as_one_that_waits<T>(attempt: impl FnOnce() -> T) -> T {
    WAITS.with(|waits| waits.set(true));
    let result = attempt();
    WAITS.with(|waits| waits.set(false));
    result
}

/// Makes an attempt, and others until one does not give EAGAIN, waiting in between for `interest`: if
/// the description blocks.
pub(super) fn attempt<T>(
    description: &Rc<Description>,
    once: bool,
    interest: Events,
    mut attempt: impl FnMut() -> Result<T>,
) -> Result<T> {
    let object = &description.object;
    let again = |result: &Result<T>| matches!(result, Err(Errno(EAGAIN)));
    let waits = !once && !description.is_nonblocking();
    let first = on_main(|| if waits { as_one_that_waits(&mut attempt) } else { attempt() });
    if !again(&first) {
        worked();
        return first;
    }
    if !waits {
        owe();
        return first;
    }
    let limit = object.time_limit(interest.intersects(Events::IN));
    let mut ticket = None;
    let found = until(limit.map_or(NEVER, after), Some(ends(limit)), |cx| {
        // Before the attempt, which may give notice at once.
        ticket = Some(object.watchers().wake_at(interest, cx.waker()));
        let result = as_one_that_waits(&mut attempt);
        if again(&result) { Poll::Pending } else { Poll::Ready(result) }
    });
    found?.unwrap_or(Err(Errno(EAGAIN)))
}

/// Which handlers end a call on a descriptor that has this time limit: as on Linux, all if it has one.
fn ends(limit: Option<u64>) -> Ends {
    if limit.is_some() { Ends::Always } else { Ends::Unrestarted }
}

/// Writes all if the description blocks, and what there is room for if not.
pub(super) fn write_all(description: &Rc<Description>, parts: &[Part]) -> Result<usize> {
    let all = total(parts);
    let write = |parts: &[Part]| {
        attempt(description, false, Events::OUT, || description.object.write(parts))
    };
    let mut written = write(parts)?;
    while written < all && !description.is_nonblocking() {
        match Part::behind(parts, written).and_then(|rest| write(&rest)) {
            Ok(n) => written += n,
            // What was written counts; the error will be there the next time.
            Err(_) => break,
        }
    }
    Ok(written)
}

/// Waits until one of the events is the case, at most for `limit` nanoseconds; which ones.
pub(super) fn wait_for(
    object: &Rc<dyn Object>,
    interest: Events,
    limit: Option<u64>,
) -> Result<Events> {
    let mut ticket = None;
    let found = until(limit.map_or(NEVER, after), Some(ends(limit)), |cx| {
        ticket = Some(object.watchers().wake_at(interest, cx.waker()));
        let found = object.poll(interest);
        if found.is_empty() { Poll::Pending } else { Poll::Ready(found) }
    });
    Ok(found?.unwrap_or_default())
}

/// How many calls in a row may be answered without waiting before the rest of the domain gets a turn.
const OWED: u32 = 32;

/// A program that has made this many successful reads and writes since it last asked is in the middle of its work, and
/// not in a loop that waits for the network.
const BUSY: u32 = 16;

/// How long a busy program goes on before the domain takes a turn, in nanoseconds: as long as the executor's tasks
/// do (`TURN_BUDGET` there).
const BUDGET: u64 = 4_000_000;

/// What the program has done since it last waited.
#[derive(Clone, Copy)]
struct Debt {
    /// Answers that did not wait, since the last look at the others.
    answers: u32,
    /// Reads and writes that succeeded, since the program last asked.
    work: u32,
    /// When it first asked, by the clock; nothing if it did not.
    since: Option<u64>,
}

const NO_DEBT: Debt = Debt { answers: 0, work: 0, since: None };

local! {
    static DEBT: Cell<Debt> = Cell::new(NO_DEBT);
}

/// Something was read or written, or a connection accepted.
fn worked() {
    DEBT.with(|d| {
        let debt = d.get();
        d.set(Debt { work: debt.work.saturating_add(1), ..debt });
    });
}

/// A program that asks again and again without waiting would never let the network bring what it asks
/// for: after [`OWED`] answers the domain takes a turn, unless the program is [busy](give_way) in between.
pub(super) fn owe() {
    let answers = DEBT.with(|d| {
        let debt = Debt { answers: d.get().answers + 1, ..d.get() };
        d.set(debt);
        debt.answers
    });
    if answers > OWED {
        give_way();
    }
}

/// Lets the domain have a turn, before a call that asks what is ready and does not wait, but not each time that a busy
/// program asks. Runtimes ask like this after a number of tasks, with others still to run: a turn in between would send
/// what the first ones have written, and a bare acknowledgement for each of the rest, whose answers would have carried
/// it. Without it, everything is sent together. The turn comes when [`BUDGET`] is used up, or when the program does
/// nothing else than ask.
pub(super) fn give_way() {
    let Debt { work, since, .. } = DEBT.with(Cell::get);
    if work >= BUSY {
        let now = now();
        let since = since.unwrap_or(now);
        if now.saturating_sub(since) < BUDGET {
            return DEBT.with(|d| d.set(Debt { since: Some(since), ..NO_DEBT }));
        }
    }
    turn();
}

/// Lets everything else in the domain have a turn, and comes back.
fn turn() {
    DEBT.with(|d| d.set(NO_DEBT));
    let mut turned = false;
    let wait = pin!(poll_fn(|cx| {
        if core::mem::replace(&mut turned, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    // Code that may not wait lets the others run by returning.
    if let Some(blocking) = BLOCKING.with(Cell::get) {
        let _ = (blocking.block_on)(wait);
    }
}
