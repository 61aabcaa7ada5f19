//! The task that writes the log.

use crate::format::{Batch, HEADER, Super, UNIT};
use crate::log::{Fsync, Log, Ops};
use crate::recover::{Place, area};
use crate::rewrite::Rewrite;
use mirust::block::{Buffer, Disk, Error};
use std::hash::{BuildHasher, Hasher, RandomState};

/// The log is rewritten when it is larger than this, and twice as large as after the last rewrite.
const REWRITE_MIN: u64 = 4 << 20;

/// Where the log continues, and the new log if there is one.
pub struct Writer {
    place: Place,
    salt: u32,
    /// The number of stable batches in the area in use.
    stable: u64,
    rewrite: Option<Rewrite>,
}

impl Writer {
    /// Continues at a place in the area with this salt; everything up to there is stable.
    pub(crate) fn new(place: Place, salt: u32) -> Writer {
        Writer { place, salt, stable: place.number, rewrite: None }
    }

    /// Whether the log is being rewritten.
    pub(crate) fn is_rewriting(&self) -> bool {
        self.rewrite.is_some()
    }

    /// Writes a batch of what has been recorded, and a piece of the new log if there is one.
    pub(crate) async fn turn(&mut self, log: &Log) -> Result<(), String> {
        self.begin_if_asked(log);
        let (Ops { bytes: ops, many }, flush) = {
            let mut inner = log.inner.borrow_mut();
            (inner.take(), inner.wanted > inner.stable)
        };
        if !ops.is_empty() {
            if !self.place.has_room(&log.disk, ops.len()) {
                // The new log takes all of them at once.
                return self.finish(log, ops, many).await;
            }
            write(log, &mut self.place, self.salt, self.stable, &[&ops]).await?;
            log.stats.size.set(self.place.at - area(&log.disk, self.place.generation).0);
        }
        if let Some(rewrite) = &mut self.rewrite {
            let piece = match rewrite.piece(log) {
                Ok(piece) => rewrite.write(log, &ops, &piece).await.map(|()| rewrite.is_last()),
                Err(error) => Err(error),
            };
            match piece {
                Ok(true) => return self.switch(log, many).await,
                Ok(false) => {}
                // The log in use is still valid.
                Err(error) => self.give_up(log, error),
            }
        }
        log.inner.borrow_mut().written += many;
        if flush || (log.fsync == Fsync::Always && many > 0) {
            let (number, written) = (self.place.number, log.inner.borrow().written);
            log.stats.flushes.set(log.stats.flushes.get() + 1);
            match log.flush().await {
                Ok(()) => {
                    self.stable = number;
                    log.inner.borrow_mut().stable = written;
                }
                // Completed writes are lost, but the store still has everything.
                Err(Error::Lost) => return self.finish(log, Vec::new(), 0).await,
                Err(error) => return Err(format!("flush: {error}")),
            }
        }
        let size = log.stats.size.get();
        if size > REWRITE_MIN && size > 2 * log.stats.base.get() && self.rewrite.is_none() {
            log.rewrite();
        }
        log.inner.borrow_mut().wake_waiters();
        Ok(())
    }

    /// Begins a new log. What was recorded before is in its first piece.
    fn begin_if_asked(&mut self, log: &Log) {
        let asked = {
            let mut inner = log.inner.borrow_mut();
            if self.rewrite.is_some() || !core::mem::take(&mut inner.rewrite) {
                return;
            }
            inner.rewrites_asked
        };
        log.stats.rewriting.set(true);
        match Rewrite::new(log, &self.place, asked) {
            Ok(rewrite) => self.rewrite = Some(rewrite),
            Err(error) => self.give_up(log, error),
        }
    }

    /// Abandons the new log.
    fn give_up(&mut self, log: &Log, error: String) {
        let mut inner = log.inner.borrow_mut();
        let asked = self.rewrite.take().map_or(inner.rewrites_asked, |rewrite| rewrite.asked);
        mirust::log::warn!("the log could not be written anew: {error}");
        // Not again until it has grown.
        log.stats.base.set(log.stats.size.get());
        log.stats.rewriting.set(false);
        inner.rewrite_failed = Some((asked, error));
        inner.wake_waiters();
    }

    /// Rewrites the log without pausing.
    async fn finish(&mut self, log: &Log, ops: Vec<u8>, many: u64) -> Result<(), String> {
        let asked = log.inner.borrow().rewrites_asked;
        log.stats.rewriting.set(true);
        // There is no other way: without memory, it waits for some.
        let mut rewrite = loop {
            match Rewrite::new(log, &self.place, asked) {
                Ok(rewrite) => break rewrite,
                Err(_) => log.next_tick().await,
            }
        };
        let mut first = ops;
        while !rewrite.is_last() {
            let Ok(piece) = rewrite.piece(log) else {
                log.next_tick().await;
                continue;
            };
            rewrite.write(log, &first, &piece).await?;
            first = Vec::new();
        }
        self.rewrite = Some(rewrite);
        self.switch(log, many).await
    }

    /// All pieces of the new log have been written: together with everything recorded, it becomes the one in use.
    async fn switch(&mut self, log: &Log, mut many: u64) -> Result<(), String> {
        let mut rewrite = self.rewrite.take().expect("it is being written");
        // What the store held when the last pieces were taken is covered by the recorded operations: with all of them, the
        // new log is a state that the store has had.
        let mut pieces = Vec::new();
        loop {
            let ops = log.inner.borrow_mut().take();
            if ops.many == 0 {
                break;
            }
            many += ops.many;
            pieces.push(ops.bytes);
        }
        for ops in pieces {
            rewrite.write(log, &ops, &[]).await?;
        }
        match log.flush().await {
            Ok(()) => {}
            Err(Error::Lost) => {
                log.inner.borrow_mut().written += many;
                return Box::pin(self.finish(log, Vec::new(), 0)).await;
            }
            Err(error) => return Err(format!("flush: {error}")),
        }
        let (salt, Place { generation, number, .. }) = (rewrite.salt, rewrite.place);
        loop {
            match write_super(&log.disk, Super { generation, sealed: number, salt }).await {
                Ok(()) => break,
                Err(Error::NoMemory) => log.next_tick().await,
                Err(error) => return Err(format!("superblock: {error}")),
            }
        }
        (self.place, self.salt, self.stable) = (rewrite.place, salt, number);
        let size = self.place.at - area(&log.disk, generation).0;
        log.stats.size.set(size);
        log.stats.base.set(size);
        log.stats.rewrites.set(log.stats.rewrites.get() + 1);
        log.stats.rewriting.set(false);
        log.stats.saved();
        let mut inner = log.inner.borrow_mut();
        inner.written += many;
        inner.stable = inner.written;
        inner.rewrites_done = inner.rewrites_done.max(rewrite.asked);
        inner.wake_waiters();
        Ok(())
    }
}

impl Place {
    /// Whether a batch with this many bytes of operations fits into the area.
    pub(crate) fn has_room(&self, disk: &Disk, ops: usize) -> bool {
        let size = ((HEADER + ops) as u64).next_multiple_of(UNIT);
        self.at + size <= area(disk, self.generation).1
    }
}

/// A number that differs each time.
pub(crate) fn salt() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}

/// Writes a batch of operations, given in several parts. If there is no memory for that, it waits for some.
pub(crate) async fn write(
    log: &Log,
    place: &mut Place,
    salt: u32,
    stable: u64,
    ops: &[&[u8]],
) -> Result<(), String> {
    let len = ops.iter().map(|part| part.len()).sum();
    let Place { generation, number, at, previous } = *place;
    let mut batch = Batch { generation, number, stable, previous, len, sum: 0 };
    let size = batch.size();
    loop {
        let Ok(mut buffer) = Buffer::new(size as usize) else {
            log.next_tick().await;
            continue;
        };
        batch.emit(salt, ops, &mut buffer);
        match log.disk.write(at, buffer).await {
            Ok(_) => break,
            Err(Error::NoMemory) => log.next_tick().await,
            Err(error) => return Err(format!("write: {error}")),
        }
    }
    log.stats.batches.set(log.stats.batches.get() + 1);
    *place = Place { generation, number: number + 1, at: at + size, previous: batch.sum };
    Ok(())
}

/// Writes both copies of a superblock, and makes them stable one after the other. A torn one is invalid, so that the
/// others remain in force.
pub(crate) async fn write_super(disk: &Disk, block: Super) -> Result<(), Error> {
    for copy in 0..2 {
        let mut again = 3;
        loop {
            disk.write_at((block.generation % 2 * 2 + copy) * UNIT, &block.emit()).await?;
            match disk.flush().await {
                Err(Error::Lost) if again > 0 => again -= 1,
                result => break result?,
            }
        }
    }
    Ok(())
}
