//! Timers of Rust tasks.

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::ptr;
use core::task::{Context, Poll, RawWakerVTable, Waker};

use crate::deadlines::{Deadlines, Key};
use crate::time::{Duration, Instant};

/// The timers of one domain. Setting and cancelling cost O(log n); the platform only ever sees the
/// earliest deadline, and everything due at one wake-up fires in one go.
pub(crate) struct Timers {
    pending: RefCell<Deadlines>,
    /// The clock when timers last fired. A timer is over if and only if it is not later than this.
    fired: Cell<Instant>,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Timers { pending: RefCell::default(), fired: Cell::new(Instant::ZERO) }
    }

    /// Wakes all that is due at `now`, in the order of deadlines, and returns how many that were.
    pub(crate) fn fire(&self, now: Instant) -> usize {
        self.fired.set(now.max(self.fired.get()));
        let mut fired = 0;
        while let Some(waker) = self.pop_due(now) {
            waker.wake();
            fired += 1;
        }
        fired
    }

    fn pop_due(&self, now: Instant) -> Option<Waker> {
        self.pending.borrow_mut().pop_due(now)
    }

    /// The earliest deadline, [`Instant::NEVER`] if there is none.
    pub(crate) fn next(&self) -> Instant {
        self.pending.borrow().first().unwrap_or(Instant::NEVER)
    }

    /// Whether any is set.
    pub(crate) fn any(&self) -> bool {
        self.pending.borrow().first().is_some()
    }
}

/// Ends at a deadline. Made by `sleep` and `sleep_until`; dropping it cancels the timer.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    timers: Rc<Timers>,
    deadline: Instant,
    /// Our entry among those that wait, from the first poll on.
    key: Option<Key>,
    /// The waker in there, which cannot become another one as long as it is: who polls again need not look.
    waker: Identity,
}

/// What two wakers of the same task have in common.
type Identity = (*const (), *const RawWakerVTable);

fn identity(waker: &Waker) -> Identity {
    (waker.data(), waker.vtable())
}

impl Sleep {
    pub(crate) fn new(timers: Rc<Timers>, deadline: Instant) -> Self {
        Sleep { timers, deadline, key: None, waker: (ptr::null(), ptr::null()) }
    }

    /// When it ends.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Moves the deadline, also of a sleep that is over.
    pub fn reset(&mut self, deadline: Instant) {
        self.cancel();
        self.deadline = deadline;
    }

    fn cancel(&mut self) {
        if let Some(key) = self.key.take() {
            // Bound to a name so that the waker is dropped after the timers are free again.
            let _waker = self.timers.pending.borrow_mut().remove(key);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.deadline <= self.timers.fired.get() {
            self.cancel();
            return Poll::Ready(());
        }
        match self.key {
            None => {
                let mut pending = self.timers.pending.borrow_mut();
                let key = pending.insert(self.deadline, cx.waker().clone());
                drop(pending);
                self.key = Some(key);
            }
            Some(_) if self.waker == identity(cx.waker()) => return Poll::Pending,
            Some(key) => {
                if let Some(waker) = self.timers.pending.borrow_mut().get_mut(key) {
                    waker.clone_from(cx.waker());
                }
            }
        }
        self.waker = identity(cx.waker());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// The time given to [`timeout`](crate::domain::timeout) was over before the future was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("time limit elapsed")
    }
}

impl core::error::Error for Elapsed {}

/// Runs `future` until `limit` ends. A result that is there at the limit counts.
pub(crate) async fn timeout<F: Future>(limit: Sleep, future: F) -> Result<F::Output, Elapsed> {
    let mut limit = pin!(limit);
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Ok(value)),
        Poll::Pending => limit.as_mut().poll(cx).map(|()| Err(Elapsed)),
    })
    .await
}

/// Ticks in a fixed rhythm. Made by `interval`.
#[derive(Debug)]
pub struct Interval {
    sleep: Sleep,
    period: Duration,
}

impl Interval {
    pub(crate) fn new(timers: Rc<Timers>, start: Instant, period: Duration) -> Self {
        assert!(!period.is_zero(), "an interval needs a period");
        Interval { sleep: Sleep::new(timers, start.saturating_add(period)), period }
    }

    /// Waits for the next tick and returns when it was due. The first tick is one period after the
    /// start. Ticks that were missed meanwhile are left out; the rhythm stays. Dropping the future
    /// before it ends loses no tick.
    pub async fn tick(&mut self) -> Instant {
        (&mut self.sleep).await;
        let due = self.sleep.deadline;
        let late = self.sleep.timers.fired.get().duration_since(due).as_nanos();
        let period = self.period.as_nanos();
        // Both are below 2^64 unless the period itself is beyond any deadline.
        let skip = u64::try_from((late / period + 1) * period).unwrap_or(u64::MAX);
        self.sleep.reset(due.saturating_add(Duration::from_nanos(skip)));
        due
    }
}
