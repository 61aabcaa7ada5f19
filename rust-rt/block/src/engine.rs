//! Requests of the disk's users, from submission to the end of each, over as many connections as that takes.
//!
//! Shared by all devices. Requests are numbered in the order of their submission. A request is split into *parts*; a
//! request to the backend carries parts of one user's request or, if they are adjacent, of several. When a connection
//! ends, unanswered parts return to the queue, in the order of their numbers.
//!
//! # Flushes
//!
//! A flush is issued when every write with a lower number has ended. Requests with higher numbers may overtake it. So
//! parts can be reissued in any order, as long as a flush still waits for the writes before it.
//!
//! A backend that vanishes without closing may have had writes in a cache that vanished with it. If some of them had
//! been completed and not been flushed, the next flush fails with [`Error::Lost`]: success would be a lie.

use super::{Buffer, Counters, Done, Error, Fragment, Info, Io, Op, SECTOR, State};
use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    string::String,
    vec::Vec,
};
use core::{fmt, ptr::NonNull};
use mirust_xen::{gnttab::GrantTable, wire::GrantRef};

/// A part of a request, in sectors from the request's beginning. A flush has one part of one sector.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Part {
    /// The number of its request.
    pub io: u64,
    /// Where it begins.
    pub at: u64,
    /// How many there are.
    pub sectors: u64,
    /// Not to be merged with others, since together they have failed.
    pub single: bool,
}

impl Part {
    fn flush(io: u64) -> Part {
        Part { io, at: 0, sectors: 1, single: false }
    }
}

/// A request that has not ended.
pub struct Pending {
    /// What to do.
    pub op: Op,
    /// The first sector.
    pub sector: u64,
    /// How many there are.
    pub sectors: u64,
    /// The caller's memory.
    pub memory: Vec<Fragment>,
    buffer: Option<Buffer>,
    done: Done,
    /// Sectors that have not been answered.
    left: u64,
    error: Option<Error>,
    /// Grants of its memory that the backend has not released.
    pub held: usize,
}

/// A result to be reported to a caller.
pub struct Ended {
    done: Done,
    result: Result<(), Error>,
    buffer: Option<Buffer>,
}

impl Ended {
    /// Reports it. The callback may call anything.
    pub fn tell(self) {
        (self.done)(self.result, self.buffer);
    }
}

/// The state that outlives a connection.
pub struct Engine {
    /// For the log.
    pub name: String,
    /// The properties of the disk.
    pub info: Info,
    /// Counters.
    pub counters: Counters,
    complaints: u64,
    next: u64,
    ios: BTreeMap<u64, Pending>,
    /// Parts to be issued.
    pub queue: VecDeque<Part>,
    /// Flushes to be issued.
    flushes: VecDeque<u64>,
    /// Numbers of writing requests that have not ended.
    writes: BTreeSet<u64>,
    /// Grants of callers' memory that could not be ended, and their requests.
    stuck: Vec<(GrantRef, u64)>,
    ended: Vec<Ended>,
    /// Writes that have succeeded, and how many of them the last flush has covered.
    written: u64,
    flushed: u64,
    lost: bool,
}

impl Engine {
    /// The engine of a disk that is not connected.
    pub fn new(name: String) -> Engine {
        Engine {
            name,
            info: Info::NONE,
            counters: Counters::default(),
            complaints: 0,
            next: 0,
            ios: BTreeMap::new(),
            queue: VecDeque::new(),
            flushes: VecDeque::new(),
            writes: BTreeSet::new(),
            stuck: Vec::new(),
            ended: Vec::new(),
            written: 0,
            flushed: 0,
            lost: false,
        }
    }

    /// Logs something that the backend can provoke at will: the first few times, and then each time
    /// that the number of such messages has doubled.
    pub fn complain(&mut self, message: fmt::Arguments<'_>) {
        self.complaints += 1;
        let n = self.complaints;
        if n <= 8 || n.is_power_of_two() {
            log::warn!("{}: {message} (complaint {n})", self.name);
        }
    }

    /// Accepts a request.
    pub fn submit(&mut self, io: Io) {
        let refused = match self.info.state {
            State::Closed => Err(Error::Closed),
            State::Up => self.info.check(&io),
            // Not known yet; or soon to be known again.
            State::Down => Ok(()),
        };
        let Io { op, sector, sectors, memory, buffer, done } = io;
        let left = if op == Op::Flush { 1 } else { sectors };
        if refused.is_err() || left == 0 {
            self.counters.ended(op, 0, refused);
            self.ended.push(Ended { done, result: refused, buffer });
            return;
        }
        let number = self.next;
        self.next += 1;
        let pending =
            Pending { op, sector, sectors, memory, buffer, done, left, error: None, held: 0 };
        self.ios.insert(number, pending);
        match op {
            Op::Flush => self.flushes.push_back(number),
            Op::Read => {}
            Op::Write | Op::Zero | Op::Discard { .. } => {
                self.writes.insert(number);
            }
        }
        if op != Op::Flush {
            self.queue.push_back(Part { io: number, at: 0, sectors, single: false });
        }
    }

    /// A request that has not ended.
    pub fn io(&self, number: u64) -> &Pending {
        &self.ios[&number]
    }

    /// The properties of the disk have changed: ends requests that can no longer be served.
    pub fn recheck(&mut self) {
        let waiting: BTreeSet<u64> = self.queue.iter().map(|part| part.io).collect();
        for number in waiting {
            let io = self.ios.get_mut(&number).expect("its parts are queued");
            let probe = Io {
                op: io.op,
                sector: io.sector,
                sectors: io.sectors,
                memory: core::mem::take(&mut io.memory),
                buffer: None,
                done: alloc::boxed::Box::new(|_, _| ()),
            };
            let verdict = self.info.check(&probe);
            io.memory = probe.memory;
            if let Err(error) = verdict {
                self.drop_parts(number, error);
            }
        }
    }

    /// Ends the parts of a request that have not been issued.
    fn drop_parts(&mut self, number: u64, error: Error) {
        let parts: Vec<Part> =
            self.queue.iter().filter(|part| part.io == number).copied().collect();
        self.queue.retain(|part| part.io != number);
        parts.iter().for_each(|part| self.answered(*part, Err(error)));
    }

    /// All flushes that can be issued: a single request to the backend serves them.
    pub fn ready_flushes(&mut self) -> Vec<Part> {
        let first_write = self.writes.first().copied().unwrap_or(u64::MAX);
        let mut parts = Vec::new();
        while let Some(number) = self.flushes.front().copied().filter(|flush| *flush < first_write)
        {
            self.flushes.pop_front();
            parts.push(Part::flush(number));
        }
        if self.lost && !parts.is_empty() {
            self.lost = false;
            // Flushes that wait for a write are also about what is lost.
            parts.extend(core::mem::take(&mut self.flushes).into_iter().map(Part::flush));
            parts.drain(..).for_each(|part| self.answered(part, Err(Error::Lost)));
        }
        parts
    }

    /// The number of successful writes so far, which a flush issued now will cover.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// A flush that covers this many writes has succeeded.
    pub fn flushed(&mut self, covers: u64) {
        self.flushed = self.flushed.max(covers);
    }

    /// The end of a part.
    pub fn answered(&mut self, part: Part, result: Result<(), Error>) {
        let io = self.ios.get_mut(&part.io).expect("a part of a request that has not ended");
        io.left -= part.sectors;
        if let Err(error) = result {
            io.error.get_or_insert(error);
        }
        self.end_if_done(part.io);
    }

    fn end_if_done(&mut self, number: u64) {
        let io = &self.ios[&number];
        if io.left > 0 || io.held > 0 {
            return;
        }
        let Pending { op, sectors, buffer, done, error, .. } =
            self.ios.remove(&number).expect("just looked at");
        let result = error.map_or(Ok(()), Err);
        if self.writes.remove(&number) && result.is_ok() {
            self.written += 1;
        }
        self.counters.ended(op, sectors * SECTOR, result);
        self.ended.push(Ended { done, result, buffer });
    }

    /// Ends a grant of a request's memory; if the backend has not released it, the request has to wait.
    pub fn end_grant(&mut self, grants: &GrantTable, gref: GrantRef, io: u64) {
        if grants.end(gref).is_err() {
            self.ios.get_mut(&io).expect("its memory was granted").held += 1;
            self.stuck.push((gref, io));
        }
    }

    /// Tries again to end grants that the backend had not released.
    pub fn retry(&mut self, grants: &GrantTable) {
        for (gref, number) in core::mem::take(&mut self.stuck) {
            if grants.end(gref).is_err() {
                self.stuck.push((gref, number));
                continue;
            }
            self.ios.get_mut(&number).expect("it waits for its memory").held -= 1;
            self.end_if_done(number);
        }
    }

    /// Whether a backend holds callers' memory that it should have released.
    pub fn is_stuck(&self) -> bool {
        !self.stuck.is_empty()
    }

    /// Takes back unanswered parts, to be issued again in the order of their requests.
    pub fn requeue(&mut self, mut parts: Vec<Part>) {
        parts.sort_unstable();
        for part in parts.into_iter().rev() {
            if self.ios[&part.io].op == Op::Flush {
                let at = self.flushes.partition_point(|flush| *flush < part.io);
                self.flushes.insert(at, part.io);
            } else {
                self.queue.push_front(part);
            }
        }
    }

    /// The connection has ended, with or without being closed by the backend.
    pub fn disconnected(&mut self, with_a_word: bool) {
        if !with_a_word && self.info.flush && self.written > self.flushed {
            self.complain(format_args!("the backend has vanished; writes may be lost"));
            self.lost = true;
        }
        self.flushed = self.written;
    }

    /// Ends everything that is not with the backend.
    pub fn close(&mut self) {
        self.info.state = State::Closed;
        let flushes = core::mem::take(&mut self.flushes);
        let parts = core::mem::take(&mut self.queue);
        for part in flushes.into_iter().map(Part::flush).chain(parts) {
            self.answered(part, Err(Error::Closed));
        }
    }

    /// Results to be reported to callers.
    pub fn take_ended(&mut self) -> Vec<Ended> {
        core::mem::take(&mut self.ended)
    }
}

/// Where byte `skip` of a request's memory is, how many bytes follow in the same fragment, and
/// whether that has its pages to itself.
pub fn locate(memory: &[Fragment], mut skip: usize) -> (NonNull<u8>, usize, bool) {
    for fragment in memory {
        if skip < fragment.len {
            // SAFETY: inside the fragment.
            let addr = unsafe { fragment.addr.add(skip) };
            return (addr, fragment.len - skip, fragment.alone);
        }
        skip -= fragment.len;
    }
    unreachable!("the request's memory was checked to have all its sectors")
}
