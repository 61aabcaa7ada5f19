//! The domain poll: events, timers, Rust tasks, and the one place where the domain sleeps.
//!
//! A domain has one thread of execution, which two languages share. The foreign language (OCaml) owns the outer loop:
//! when it has nothing to run, it calls [`Domain::poll`] with the time at which it wants to run again. A program with
//! its main function in Rust calls [`Domain::block_on`] instead, which is the same loop with a future in OCaml's place.
//!
//! Devices and services notify OCaml in two ways: by a *completion*, a token that stands for one finished operation and
//! is kept until OCaml collects it, or by the `FOREIGN` signal, which only says "look again".

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::cell::Cell;
use core::future::Future;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};

use crate::executor::{Executor, Guard, Turn};
use crate::inbox::Inbox;
use crate::platform::Platform;
use crate::resize::Listeners;
use crate::shutdown::{NextRequest, Shutdown, ShutdownReason, ShutdownRequested};
use crate::suspend::Hooks;
use crate::task::JoinHandle;
use crate::time::{Duration, Instant};
use crate::timers::{self, Elapsed, Interval, Sleep, Timers};

pub use crate::ready::Ready;

/// How long tasks may run, once the first [`TURN_FLOOR`] have, before the poll looks at events, timers and OCaml again.
/// A measure of time and not of tasks: what arrives together is answered together, however many connections it is from,
/// and OCaml sends the answers of one turn in one go.
pub const TURN_BUDGET: Duration = Duration::from_millis(4);

/// How many tasks run in any case, and between two looks at the clock.
pub const TURN_FLOOR: usize = 64;

/// How many rounds of the poll in a row need no look at the clock.
const BLIND_ROUNDS: u32 = 2;

/// What the poll has done so far. All counters start at zero with the domain.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct PollStats {
    /// Calls of `poll`, from either language, nested ones left out.
    pub polls: u64,
    /// Times the domain gave up the processor.
    pub blocks: u64,
    /// How many of those blocks ended before their deadline: something came from outside.
    pub wakeups: u64,
    /// Events dispatched.
    pub events: u64,
    /// Turns of Rust tasks.
    pub tasks_run: u64,
    /// Timers of Rust tasks that fired.
    pub timers_fired: u64,
    /// Completions that OCaml has collected.
    pub completions: u64,
}

/// One domain: its platform, its Rust tasks and their timers, and what is waiting for OCaml.
///
/// Belongs to one thread. The image has one, behind the functions of [`domain`](crate::domain);
/// tests make their own on a mock platform. The inbox is never freed: wakers and other threads may
/// outlive the rest.
pub struct Domain<P: Platform> {
    platform: P,
    inbox: &'static Inbox,
    executor: Executor,
    timers: Rc<Timers>,
    shutdown: Rc<Shutdown>,
    suspend: Hooks,
    resize: Listeners,
    stats: Counters,
    polling: Cell<bool>,
    /// The last reading of the clock.
    seen: Cell<Instant>,
    /// The clock was read since the last poll ended, or in the current round of the poll.
    looked: Cell<bool>,
}

/// [`PollStats`] while they count.
#[derive(Default)]
struct Counters {
    polls: Counter,
    blocks: Counter,
    wakeups: Counter,
    events: Counter,
    tasks_run: Counter,
    timers_fired: Counter,
    completions: Counter,
}

#[derive(Default)]
struct Counter(Cell<u64>);

impl Counter {
    #[inline]
    fn add(&self, n: usize) {
        self.0.set(self.0.get() + n as u64);
    }
}

impl<P: Platform> Domain<P> {
    /// A domain without tasks.
    pub fn new(platform: P) -> Self {
        let inbox = Box::leak(Box::new(Inbox::new(platform.notifier())));
        Domain {
            executor: Executor::new(inbox),
            inbox,
            platform,
            timers: Rc::new(Timers::new()),
            shutdown: Rc::default(),
            suspend: Hooks::default(),
            resize: Listeners::default(),
            stats: Counters::default(),
            polling: Cell::new(false),
            seen: Cell::new(Instant::ZERO),
            looked: Cell::new(false),
        }
    }

    /// The platform below.
    pub fn platform(&self) -> &P {
        &self.platform
    }

    /// The monotonic clock. If the hypervisor emulates the time stamp counter, as Xen does on a host whose own is not
    /// reliable, each reading is an exit to it, and costs as much as a hypercall.
    pub fn now(&self) -> Instant {
        self.see(self.platform.now())
    }

    /// The monotonic clock, as it was within the last hundredth of a second: without a look at it, if the platform
    /// knows.
    pub fn recent_now(&self) -> Instant {
        self.see(self.platform.recent().unwrap_or_else(|| self.platform.now()))
    }

    fn see(&self, now: Instant) -> Instant {
        self.seen.set(now);
        self.looked.set(true);
        now
    }

    /// The last reading of the monotonic clock, if it was read in this turn (or when the last poll returned); otherwise
    /// [`recent_now`](Self::recent_now). So it lags by at most the time since that poll returned, plus a hundredth of a
    /// second where Xen emulates the counter, and may stand still until the next poll. It is meant for time limits of
    /// seconds, not for loops that wait or for measuring durations.
    pub fn coarse_now(&self) -> Instant {
        if self.looked.get() { self.seen.get() } else { self.recent_now() }
    }

    /// The counters.
    pub fn stats(&self) -> PollStats {
        let now = &self.stats;
        PollStats {
            polls: now.polls.0.get(),
            blocks: now.blocks.0.get(),
            wakeups: now.wakeups.0.get(),
            events: now.events.0.get(),
            tasks_run: now.tasks_run.0.get(),
            timers_fired: now.timers_fired.0.get(),
            completions: now.completions.0.get(),
        }
    }

    /// Sets the function that catches the panics of tasks. Without a guard, a panic unwinds through the poll into its
    /// caller.
    pub fn set_guard(&self, guard: Guard) {
        self.executor.set_guard(guard);
    }

    /// The function that catches the panics of tasks.
    pub fn guard(&self) -> Guard {
        self.executor.guard()
    }

    /// Whether a poll is in progress, so that the caller is a task or an event handler, and must not
    /// wait.
    pub fn is_polling(&self) -> bool {
        self.polling.get()
    }

    /// Hands a future to the executor, which runs it from the next poll on. Never runs it inside
    /// this call.
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        self.executor.spawn(future)
    }

    /// Tasks that have not ended.
    pub fn tasks(&self) -> usize {
        self.executor.len()
    }

    /// Ends `duration` from now.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now().saturating_add(duration))
    }

    /// Ends at `deadline`; at once if that has passed.
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep::new(Rc::clone(&self.timers), deadline)
    }

    /// Gives `future` the time `limit`, counted from this call.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] if the time was over first; the future is dropped then.
    pub fn timeout<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Elapsed>> + use<P, F> {
        timers::timeout(self.sleep(limit), future)
    }

    /// Ticks every `period`, first one period from now.
    ///
    /// # Panics
    ///
    /// If `period` is zero.
    pub fn interval(&self, period: Duration) -> Interval {
        Interval::new(Rc::clone(&self.timers), self.now(), period)
    }

    /// A handle for other threads.
    pub fn remote(&self) -> Remote {
        Remote(self.inbox)
    }

    /// See [`Remote::complete`].
    pub fn complete(&self, token: u64) {
        self.inbox.push_completion(token);
    }

    /// The oldest token that OCaml has not collected. While there are any, `poll` reports [`Ready::FOREIGN`] and does
    /// not block.
    pub fn next_completion(&self) -> Option<u64> {
        let token = self.inbox.pop_completion();
        self.stats.completions.add(token.is_some().into());
        token
    }

    /// Whether there is a token that OCaml has not collected.
    pub fn has_completions(&self) -> bool {
        self.inbox.has_completions()
    }

    /// See [`Remote::signal_foreign`].
    pub fn signal_foreign(&self) {
        self.inbox.signal(Ready::FOREIGN);
    }

    /// Requests a shutdown: wakes everything that waits for that, in both languages.
    pub fn request_shutdown(&self, reason: ShutdownReason) {
        self.shutdown.request(reason);
        self.inbox.signal(Ready::SHUTDOWN);
    }

    /// The last shutdown request, if there was one.
    pub fn shutdown_reason(&self) -> Option<ShutdownReason> {
        self.shutdown.reason()
    }

    /// Waits for a shutdown request; returns at once if there already was one.
    pub fn shutdown_requested(&self) -> ShutdownRequested {
        ShutdownRequested::new(Rc::clone(&self.shutdown))
    }

    /// Waits for the next shutdown request, also if there already was one.
    pub fn next_shutdown_request(&self) -> NextRequest {
        NextRequest::new(Rc::clone(&self.shutdown))
    }

    /// The hooks for when the domain's memory becomes larger or smaller.
    pub fn resize_listeners(&self) -> &Listeners {
        &self.resize
    }

    /// The hooks for suspension.
    pub fn suspend_hooks(&self) -> &Hooks {
        &self.suspend
    }

    /// Handles events, fires timers and runs Rust tasks until the caller (OCaml) has something to
    /// do, or until `deadline`; blocks meanwhile whenever no Rust task is ready either.
    ///
    /// With a deadline in the past it does one round of everything and never blocks. With
    /// [`Instant::NEVER`] it returns for news only.
    ///
    /// Returns why, and [`Ready::NESTED`] if it was re-entered from a task or an event handler.
    pub fn poll(&self, deadline: Instant) -> Ready {
        self.poll_for(deadline, Ready::FOREIGN | Ready::SHUTDOWN)
    }

    /// `poll` for a caller that is only interested in `interest`. Other signals stay set.
    fn poll_for(&self, deadline: Instant, interest: Ready) -> Ready {
        let Some(_polling) = Polling::enter(&self.polling) else { return Ready::NESTED };
        self.stats.polls.add(1);
        // The caller has just looked at the clock, as OCaml's loop does in each turn.
        let mut blind = if self.looked.replace(false) { BLIND_ROUNDS } else { 0 };
        let mut until = None;
        loop {
            // 1. Events first: they make tasks ready and raise signals.
            let events = self.platform.dispatch();
            if let Some(until) = until.take() {
                self.stats.wakeups.add((events > 0 || self.recent_now() < until).into());
            }
            // 2. Then whatever the clock makes ready. It is not read if nothing depends on it.
            let now = self.time_for(deadline, &mut blind);
            let fired = now.map_or(0, |now| self.timers.fire(now));
            // 3. One turn of the tasks. It ends even if they wake each other for ever, or are very many.
            self.take_turns(usize::MAX);
            self.stats.events.add(events);
            self.stats.timers_fired.add(fired);

            // 4. News for the caller is reported, whether or not tasks are ready: this keeps the executor fair to
            //    OCaml.
            let mut ready = self.inbox.take_signals(interest);
            if now.unwrap_or(Instant::ZERO) >= deadline {
                ready |= Ready::TIMER;
            }
            self.looked.set(false);
            if !ready.is_empty() {
                return ready;
            }

            // 5. The domain must not block while there is something to do. Work comes from three sides, and none can be
            //    missed:
            //
            //    - Tasks, completions and signals sit in the inbox. `park` looks at all of them and
            //      announces the block, in one step under the inbox's lock. What was posted before
            //      that step is seen by it. A thread that posts after it (another one, on Unix) finds
            //      the announcement and calls the platform's notifier, which is an event.
            //    - Timers are set by this thread only, and its last chance was step 3. So the
            //      earliest deadline read below is still the earliest when the block begins.
            //    - Events: one that became pending after step 1, even after `park`, is still
            //      pending, and `wait` must return at once for such. Step 1 then dispatches it.
            if self.inbox.park(interest) {
                let end = deadline.min(self.timers.next());
                self.block(end);
                self.inbox.unpark();
                until = Some(end);
            }
            // 6. Round again, also if `wait` returned for no reason at all: every decision above
            //    is made from the state, none from why we came back.
        }
    }

    /// Runs the tasks that are ready, as `poll` does, but at most `most` of them, and does nothing else: for OCaml,
    /// which has made them ready and waits for their answers. Inside a poll, none is run.
    pub fn run_tasks(&self, most: usize) -> Turn {
        Polling::enter(&self.polling).map_or(Turn::default(), |_polling| self.take_turns(most))
    }

    /// Runs the tasks that are ready, while [`TURN_BUDGET`] lasts, and at most `most` of them.
    fn take_turns(&self, most: usize) -> Turn {
        let mut end = None;
        let turn = self.executor.run_turn(most, TURN_FLOOR, || {
            let now = self.now();
            now < *end.get_or_insert(now.saturating_add(TURN_BUDGET))
        });
        self.stats.tasks_run.add(turn.run);
        turn
    }

    /// Whether [`poll`](Self::poll) with a deadline in the past would find something to do, or to
    /// report. Dispatches events, and runs nothing else.
    ///
    /// For a loop that is not ours, and that must not be called back while it asks.
    pub fn has_work(&self) -> bool {
        if self.polling.get() {
            return false;
        }
        self.stats.events.add(self.platform.dispatch());
        self.inbox.has_work(Ready::FOREIGN | Ready::SHUTDOWN)
            || self.timers.any() && self.timers.next() <= self.now()
    }

    /// Blocks until [`has_work`](Self::has_work) is true, or until `deadline`; runs nothing. `wanted`
    /// is asked once, after events were dispatched and before the block, whether there is a reason
    /// of the caller's own not to block.
    ///
    /// May return early. Does nothing if it is called from inside a poll.
    pub fn rest(&self, deadline: Instant, wanted: impl FnOnce() -> bool) {
        if self.has_work() || wanted() || self.polling.get() {
            return;
        }
        // As in `poll`: events that come from here on stay pending, and `wait` returns at once.
        if self.inbox.park(Ready::FOREIGN | Ready::SHUTDOWN) {
            let end = deadline.min(self.timers.next());
            self.block(end);
            self.inbox.unpark();
            self.stats.wakeups.add((self.now() < end).into());
        }
    }

    /// Gives up the processor. The only place that does.
    fn block(&self, deadline: Instant) {
        self.platform.wait(deadline);
        self.stats.blocks.add(1);
    }

    /// The time, or `None` if no timer is set and the deadline can be judged without the time.
    ///
    /// The time is never less than at the last reading. If nothing was due by then, the clock need not be read in the
    /// next `blind` rounds: not in one before a block, which ends at once if something is due; and not in one that an
    /// event has begun, after which OCaml reads the clock for its part of the turn. What is due by then fires in the
    /// next round.
    fn time_for(&self, deadline: Instant, blind: &mut u32) -> Option<Instant> {
        let told = deadline == Instant::ZERO || deadline == Instant::NEVER;
        if told && !self.timers.any() {
            return None;
        }
        if !self.looked.get() && *blind > 0 {
            *blind -= 1;
            return Some(self.seen.get());
        }
        *blind = BLIND_ROUNDS;
        Some(self.coarse_now())
    }

    /// Runs `future` to its end, and with it everything else in the domain but OCaml, whose
    /// completions and signals wait until its own next poll. For a program whose main function is
    /// Rust, or for a Rust function that OCaml calls and that has to wait.
    ///
    /// # Panics
    ///
    /// If it is called from inside a poll, that is, from a task or an event handler: await instead.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.drive(future, Ready::empty(), |_| Instant::NEVER)
    }

    /// Like [`block_on`](Self::block_on) where OCaml takes part: `foreign` is called before every
    /// poll with what the last one reported; it runs what OCaml has to run and returns the time at
    /// which it wants to be called again.
    ///
    /// # Panics
    ///
    /// As [`block_on`](Self::block_on).
    pub fn block_on_with<F: Future>(
        &self,
        future: F,
        foreign: impl FnMut(Ready) -> Instant,
    ) -> F::Output {
        self.drive(future, Ready::FOREIGN | Ready::SHUTDOWN, foreign)
    }

    fn drive<F: Future>(
        &self,
        future: F,
        interest: Ready,
        mut foreign: impl FnMut(Ready) -> Instant,
    ) -> F::Output {
        assert!(
            !self.polling.get(),
            "block_on was called from a task or an event handler: await instead"
        );
        let mut future = pin!(future);
        let flag = Arc::new(MainWaker { woken: AtomicBool::new(true), inbox: self.inbox });
        let waker = Waker::from(Arc::clone(&flag));
        let mut cx = Context::from_waker(&waker);
        let mut ready = Ready::empty();
        loop {
            if flag.woken.swap(false, Ordering::AcqRel) {
                if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
                    // The last poll may have reported what `foreign` was not told: it is reported once more. (For
                    // other news it looks by itself, whenever it is called.)
                    if ready.contains(Ready::SHUTDOWN) {
                        self.inbox.signal(Ready::SHUTDOWN);
                    }
                    return value;
                }
            }
            let deadline = foreign(ready);
            // A `block_on` inside `future` or `foreign` may have taken the MAIN signal that was
            // meant for us. Our own flag still knows.
            let woken = flag.woken.load(Ordering::Acquire);
            let deadline = if woken { Instant::ZERO } else { deadline };
            ready = self.poll_for(deadline, interest | Ready::MAIN);
            ready.remove(Ready::MAIN);
        }
    }
}

/// Reaches OCaml from anywhere, including other threads.
#[derive(Clone)]
pub struct Remote(&'static Inbox);

impl Remote {
    /// Tells OCaml that the operation it knows by `token` is finished. What tokens mean is up to the code on both
    /// sides.
    pub fn complete(&self, token: u64) {
        self.0.push_completion(token);
    }

    /// Makes the next `poll` report [`Ready::FOREIGN`], once.
    pub fn signal_foreign(&self) {
        self.0.signal(Ready::FOREIGN);
    }
}

/// Wakes the future of a `block_on`.
struct MainWaker {
    woken: AtomicBool,
    inbox: &'static Inbox,
}

impl Wake for MainWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.inbox.signal(Ready::MAIN);
        }
    }
}

/// Marks a poll as in progress until it is dropped, also by a panic.
struct Polling<'a>(&'a Cell<bool>);

impl<'a> Polling<'a> {
    fn enter(flag: &'a Cell<bool>) -> Option<Self> {
        (!flag.replace(true)).then_some(Polling(flag))
    }
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}
