//! The store on a disk: every change is appended to a log, which is rewritten in the background when it has grown.
//!
//! One task writes ([`Log::run`]); the others only record their changes, and wait ([`Log::commit`]) if the policy
//! says so. While the disk works on one batch the next one collects: with many clients, one flush serves many of them.
//!
//! # Rewriting the log
//!
//! The contents of the store are written to the other area, batch by batch, interleaved with the changes made in the
//! meantime, which also go to the area in use. Replaying an operation twice does no harm. The last batch includes
//! everything recorded by then; it is flushed, and then the superblock is switched to the other area. A crash before
//! that leaves the area in use as it was.

use crate::format::{BATCH_MAX, Op, Super, UNIT};
use crate::keyed::Keyed;
use crate::recover::{Found, Place, area, recover};
use crate::writer::{Writer, salt, write_super};
use mirust::block::{Disk, Error};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, TryReserveError, VecDeque};
use std::future::poll_fn;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{SystemTime, UNIX_EPOCH};

/// Values by keys.
pub type Map = HashMap<Vec<u8>, Vec<u8>, Keyed>;

/// Bytes that may be recorded before callers have to wait for the disk, whatever the policy: half of what the store may
/// have, within these bounds.
const NOTED: RangeInclusive<usize> = 64 << 10..=8 << 20;
/// Bytes of a batch's operations; one may be larger.
pub const OPS_MAX: usize = 1 << 20;

/// Bytes that are written as one batch when nobody waits for them; half of what may be noted, if that is less.
const ENOUGH: usize = 256 << 10;

/// When the log is made stable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fsync {
    /// Before a change is confirmed.
    Always,
    /// So that at most the last second can be lost. If the disk cannot keep up, callers wait.
    EverySecond,
    /// Whenever the disk does so.
    No,
}

impl Fsync {
    /// Parses Redis's name for it.
    pub fn parse(name: &str) -> Option<Fsync> {
        match name {
            "always" => Some(Fsync::Always),
            "everysec" => Some(Fsync::EverySecond),
            "no" => Some(Fsync::No),
            _ => None,
        }
    }
}

/// A store's log.
pub struct Log {
    pub(crate) disk: Disk,
    pub(crate) map: Rc<RefCell<Map>>,
    pub(crate) fsync: Fsync,
    pub(crate) inner: RefCell<Inner>,
    /// See [`NOTED`].
    noted_max: Cell<usize>,
    /// Statistics for `INFO`.
    pub stats: Stats,
}

/// Whole operations, for a batch.
#[derive(Default)]
pub struct Ops {
    /// As they are written.
    pub bytes: Vec<u8>,
    /// How many there are.
    pub many: u64,
}

/// Counters.
#[derive(Default)]
pub struct Stats {
    /// Bytes of the log in use.
    pub size: Cell<u64>,
    /// Its size after the last rewrite.
    pub base: Cell<u64>,
    /// Number of rewrites.
    pub rewrites: Cell<u64>,
    /// Whether it is being rewritten.
    pub rewriting: Cell<bool>,
    /// When it was rewritten, or opened, in seconds since 1970.
    pub saved_at: Cell<u64>,
    /// Flushes.
    pub flushes: Cell<u64>,
    /// Batches written.
    pub batches: Cell<u64>,
}

impl Stats {
    /// Whether all of the log is stable.
    pub(crate) fn saved(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        self.saved_at.set(now.map_or(0, |now| now.as_secs()));
    }
}

/// Shared by the tasks that record changes and the one that writes them.
#[derive(Default)]
pub(crate) struct Inner {
    /// Operations that are not written yet, batch by batch: what is taken frees its memory, and needs none.
    noted: VecDeque<Ops>,
    /// Bytes of all of them.
    noted_bytes: usize,
    /// The number of operations recorded, written, and stable so far.
    pub count: u64,
    pub written: u64,
    pub stable: u64,
    /// How many should be written, and how many made stable.
    due: u64,
    pub wanted: u64,
    /// It was the same half a second ago: the disk cannot keep up.
    is_late: bool,
    /// Whether the log should be rewritten.
    pub rewrite: bool,
    /// Rewrites requested, and done.
    pub rewrites_asked: u64,
    pub rewrites_done: u64,
    /// The number of requests up to one that failed, and why it failed.
    pub rewrite_failed: Option<(u64, String)>,
    failed: Option<String>,
    /// Calls of [`Log::tick`].
    ticks: u64,
    writer: Option<Waker>,
    waiters: Vec<Waker>,
}

impl Log {
    /// Reads the log of a disk, passing its operations to `apply`, or creates one. `map` is changed by `apply`, and later
    /// by callers. The text, if there is one, says what part of the log was lost.
    ///
    /// # Errors
    ///
    /// Those of [`recover`] and of `apply`; and if the disk is too small, or holds something else.
    pub async fn open(
        disk: Disk,
        map: Rc<RefCell<Map>>,
        fsync: Fsync,
        apply: &mut dyn FnMut(Op<'_>) -> Result<(), String>,
    ) -> Result<(Log, Writer, Option<String>), String> {
        let info = disk.ready().await.map_err(|error| error.to_string())?;
        if info.read_only {
            return Err("the disk cannot be written".into());
        }
        let (start, end) = area(&disk, 0);
        if end - start < BATCH_MAX as u64 {
            return Err(format!("the disk has {} bytes: too few", disk.len()));
        }
        let (place, salt, word) = match recover(&disk, apply).await? {
            Some(Found { place, block, word, behind }) => {
                for at in behind {
                    disk.zero(at, UNIT).await.map_err(|error| error.to_string())?;
                }
                // One of its copies may be torn or damaged.
                write_super(&disk, block).await.map_err(|error| error.to_string())?;
                (place, block.salt, word)
            }
            None => {
                let block = Super { generation: 1, sealed: 0, salt: salt() };
                write_super(&disk, block).await.map_err(|error| error.to_string())?;
                let at = area(&disk, 1).0;
                (Place { generation: 1, number: 0, at, previous: block.salt }, block.salt, None)
            }
        };
        // What was read may only be in a cache: it has to be stable before anything builds on it.
        disk.flush().await.map_err(|error| error.to_string())?;
        let (inner, stats) = Default::default();
        let log = Log { disk, map, fsync, inner, noted_max: Cell::new(*NOTED.end()), stats };
        let size = place.at - area(&log.disk, place.generation).0;
        log.stats.size.set(size);
        log.stats.base.set(size);
        log.stats.saved();
        Ok((log, Writer::new(place, salt), word))
    }

    /// Records an operation that changes the store.
    ///
    /// # Errors
    ///
    /// If there is no memory for it: nothing is recorded, and the store must not be changed.
    pub fn note(&self, op: Op<'_>) -> Result<(), TryReserveError> {
        let (mut inner, size) = (self.inner.borrow_mut(), op.size());
        match inner.noted.back_mut().filter(|last| last.bytes.len() + size <= OPS_MAX) {
            Some(last) => last.add(op)?,
            None => {
                let mut ops = Ops::default();
                ops.add(op)?;
                inner.noted.try_reserve(1)?;
                inner.noted.push_back(ops);
            }
        }
        inner.noted_bytes += size;
        inner.count += 1;
        if inner.has_work(self) {
            inner.wake_writer();
        }
        Ok(())
    }

    /// Waits until everything recorded so far is as safe as the policy says.
    ///
    /// # Errors
    ///
    /// If the disk has failed. What was recorded may or may not be there after a restart.
    pub async fn commit(&self) -> Result<(), String> {
        let count = self.inner.borrow().count;
        self.wait(|inner| inner.is_settled(self, count)).await
    }

    /// Whether [`commit`](Self::commit) would not wait.
    pub fn is_settled(&self) -> bool {
        let inner = self.inner.borrow();
        inner.failed.is_none() && inner.is_settled(self, inner.count)
    }

    /// What is noted may take a part of this much memory.
    pub fn set_share(&self, bytes: usize) {
        let most = (bytes / 2).clamp(*NOTED.start(), *NOTED.end());
        if self.noted_max.replace(most) != most {
            let mut inner = self.inner.borrow_mut();
            inner.wake_waiters();
            inner.wake_writer();
        }
    }

    /// Operations that are not stable.
    pub fn unstable(&self) -> u64 {
        let inner = self.inner.borrow();
        inner.count - inner.stable
    }

    /// Makes the log stable if the policy wants that periodically. Call it twice a second: changes recorded in between
    /// are stable half a second later, otherwise callers wait.
    pub fn tick(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.is_late = inner.wanted > inner.stable;
        inner.due = inner.count;
        inner.ticks += 1;
        if self.fsync == Fsync::EverySecond {
            inner.wanted = inner.count;
        }
        // It may wait for memory.
        inner.wake_writer();
    }

    /// Waits for the next [`tick`](Self::tick): somebody may have given back memory by then.
    pub(crate) async fn next_tick(&self) {
        let before = self.inner.borrow().ticks;
        poll_fn(|cx| {
            let mut inner = self.inner.borrow_mut();
            if inner.ticks != before {
                return Poll::Ready(());
            }
            inner.writer = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Makes what was written stable. A shortage of memory passes, and is no failure of the disk.
    pub(crate) async fn flush(&self) -> Result<(), Error> {
        loop {
            match self.disk.flush().await {
                Err(Error::NoMemory) => self.next_tick().await,
                result => return result,
            }
        }
    }

    /// Starts rewriting the log in the background. False if that is already in progress.
    pub fn rewrite(&self) -> bool {
        let mut inner = self.inner.borrow_mut();
        if self.stats.rewriting.get() {
            return false;
        }
        inner.rewrite = true;
        inner.rewrites_asked += 1;
        inner.wake_writer();
        true
    }

    /// Rewrites the log, and waits for that.
    pub async fn save(&self) -> Result<(), String> {
        let asked = {
            let mut inner = self.inner.borrow_mut();
            inner.rewrite = true;
            inner.rewrites_asked += 1;
            inner.wake_writer();
            inner.rewrites_asked
        };
        let failed =
            |inner: &Inner| inner.rewrite_failed.clone().filter(|(times, _)| *times >= asked);
        self.wait(|inner| inner.rewrites_done >= asked || failed(inner).is_some()).await?;
        let inner = self.inner.borrow();
        if inner.rewrites_done >= asked {
            return Ok(());
        }
        failed(&inner).map_or(Ok(()), |(_, why)| Err(why))
    }

    /// Waits until everything recorded so far is stable, whatever the policy: at the end of the program.
    pub async fn sync(&self) -> Result<(), String> {
        let count = {
            let mut inner = self.inner.borrow_mut();
            inner.wanted = inner.count;
            inner.wake_writer();
            inner.count
        };
        self.wait(|inner| inner.stable >= count).await
    }

    /// Whether the last attempt to rewrite the log succeeded.
    pub fn is_last_rewrite_ok(&self) -> bool {
        let inner = self.inner.borrow();
        inner.rewrite_failed.as_ref().is_none_or(|(asked, _)| inner.rewrites_done >= *asked)
    }

    /// Whether the log has failed.
    pub fn has_failed(&self) -> bool {
        self.inner.borrow().failed.is_some()
    }

    /// Why the log has failed, if it has. The store should not be changed any more then.
    pub fn failure(&self) -> Option<String> {
        self.inner.borrow().failed.clone()
    }

    async fn wait(&self, done: impl Fn(&Inner) -> bool) -> Result<(), String> {
        poll_fn(|cx| {
            let mut inner = self.inner.borrow_mut();
            if let Some(failed) = &inner.failed {
                return Poll::Ready(Err(failed.clone()));
            }
            if done(&inner) {
                return Poll::Ready(Ok(()));
            }
            if !inner.waiters.iter().any(|waiter| waiter.will_wake(cx.waker())) {
                inner.waiters.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    /// Writes, until the disk fails.
    pub async fn run(&self, mut writer: Writer) {
        loop {
            poll_fn(|cx| {
                let mut inner = self.inner.borrow_mut();
                if inner.has_work(self) || writer.is_rewriting() {
                    return Poll::Ready(());
                }
                inner.writer = Some(cx.waker().clone());
                Poll::Pending
            })
            .await;
            if let Err(error) = writer.turn(self).await {
                let mut inner = self.inner.borrow_mut();
                inner.failed = Some(error);
                inner.wake_waiters();
                return;
            }
        }
    }
}

impl Ops {
    fn add(&mut self, op: Op<'_>) -> Result<(), TryReserveError> {
        self.bytes.try_reserve(op.size())?;
        op.emit(&mut self.bytes);
        self.many += 1;
        Ok(())
    }
}

impl Inner {
    fn is_settled(&self, log: &Log, count: u64) -> bool {
        match log.fsync {
            Fsync::Always => self.stable >= count,
            Fsync::EverySecond if self.is_late && self.wanted > self.stable => self.stable >= count,
            Fsync::EverySecond | Fsync::No => self.noted_bytes < log.noted_max.get(),
        }
    }

    /// Whether the writer has something to do. If nobody waits, a batch collects for half a second, because it is
    /// written in whole units, and many small ones would be mostly padding.
    fn has_work(&self, log: &Log) -> bool {
        let (noted, asked) = (self.noted_bytes, self.due > self.written || self.rewrite);
        asked
            || self.wanted > self.stable
            || noted >= ENOUGH.min(log.noted_max.get() / 2)
            || (noted > 0 && log.fsync == Fsync::Always)
    }

    /// Wakes callers to check again.
    pub fn wake_waiters(&mut self) {
        self.waiters.drain(..).for_each(Waker::wake);
    }

    fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    /// Takes the next operations that are to be written, if there are any.
    pub fn take(&mut self) -> Ops {
        let ops = self.noted.pop_front().unwrap_or_default();
        self.noted_bytes -= ops.bytes.len();
        ops
    }
}
