//! A disk in memory that can crash at any moment, as the worst disk may.
//!
//! What was flushed is there after a crash. Of every sector that a write was about since, or that a write under
//! way was about, any of these is there: what it was before, what was written, or a part of that. Writes that
//! follow each other may reach the medium in any order, and some of them twice.

mod image;
mod lives;
mod until;

pub use image::Image;
pub use lives::{Keeper, lives};
pub use until::{Until, for_seeds};

use mirust_rt::block::{Counters, Device, Error, Info, Io, Op, State};
use std::cell::RefCell;
use std::rc::Rc;
use std::slice;
use std::task::Waker;

/// A generator with a seed, so that a failing case can be run again.
pub struct Random(u64);

impl Random {
    /// The sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

/// The disk.
pub struct CrashDisk {
    inner: RefCell<Inner>,
}

struct Inner {
    /// What a crash cannot harm.
    stable: Image,
    /// What a reader sees.
    view: Image,
    /// Writes since the last flush: where, and what.
    unflushed: Vec<(usize, Vec<u8>)>,
    waiting: Vec<Io>,
    /// Nothing can be written any more.
    broken: bool,
    /// There is no memory for what writes and flushes need.
    short: bool,
    /// Places that cannot be read.
    bad: Vec<usize>,
    random: Random,
    counters: Counters,
}

const SECTOR: usize = 512;

impl CrashDisk {
    /// A disk that holds this. All that it does by chance is of the seed.
    pub fn new(image: Image, seed: u64) -> Rc<CrashDisk> {
        let inner = Inner {
            stable: image.clone(),
            view: image,
            unflushed: Vec::new(),
            waiting: Vec::new(),
            broken: false,
            short: false,
            bad: Vec::new(),
            random: Random::new(seed),
            counters: Counters::default(),
        };
        Rc::new(CrashDisk { inner: RefCell::new(inner) })
    }

    /// Serves one of the requests that wait, whichever it likes. False if there is none.
    pub fn step(&self) -> bool {
        let Some(io) = self.inner.borrow_mut().choose() else { return false };
        let result = self.inner.borrow_mut().perform(&io);
        (io.done)(result, io.buffer);
        true
    }

    /// From now on writes and flushes end in [`Error::Io`]: storage that is full on the other side, or a medium that
    /// has gone bad.
    pub fn break_down(&self) {
        self.inner.borrow_mut().broken = true;
    }

    /// From now on writes and flushes end in [`Error::NoMemory`], or no longer.
    pub fn set_short_of_memory(&self, short: bool) {
        self.inner.borrow_mut().short = short;
    }

    /// From now on reads of what is there end in [`Error::Io`].
    pub fn spoil(&self, at: usize) {
        self.inner.borrow_mut().bad.push(at);
    }

    /// What the disk holds after a crash now.
    pub fn crash(&self) -> Image {
        let inner = &mut *self.inner.borrow_mut();
        let mut image = inner.stable.clone();
        let mut writes = inner.unflushed.clone();
        writes.extend(inner.waiting.iter().filter_map(written));
        let random = &mut inner.random;
        // Now and then everything has arrived, or nothing.
        let mood = random.below(8);
        let again = writes.len();
        for _ in 0..again {
            if random.below(10) == 0 {
                let twice = writes[random.below(again)].clone();
                writes.push(twice);
            }
        }
        while !writes.is_empty() {
            let next = if mood == 0 { 0 } else { random.below(writes.len()) };
            let (at, bytes) = writes.remove(next);
            for (n, sector) in bytes.chunks(SECTOR).enumerate() {
                let len = match (mood, random.below(10)) {
                    (0, _) => SECTOR,
                    (1, _) | (_, 0..=3) => 0,
                    (_, 4) => random.below(SECTOR),
                    _ => SECTOR,
                };
                let to = at + n * SECTOR;
                image.write(to, &sector[..len]);
            }
        }
        image
    }

    /// What the disk holds if nothing crashes.
    pub fn contents(&self) -> Image {
        self.inner.borrow().view.clone()
    }
}

/// Where a request writes, and what.
fn written(io: &Io) -> Option<(usize, Vec<u8>)> {
    let at = io.sector as usize * SECTOR;
    match io.op {
        Op::Zero => Some((at, vec![0; io.sectors as usize * SECTOR])),
        Op::Write => {
            let mut bytes = Vec::new();
            for piece in &io.memory {
                // SAFETY: memory of a request that has not ended is valid, and nobody writes it.
                bytes.extend(unsafe { slice::from_raw_parts(piece.addr.as_ptr(), piece.len) });
            }
            Some((at, bytes))
        }
        Op::Read | Op::Flush | Op::Discard { .. } => None,
    }
}

impl Inner {
    /// Takes a request, but no flush before the writes that it covers.
    fn choose(&mut self) -> Option<Io> {
        if self.waiting.is_empty() {
            return None;
        }
        let mut at = self.random.below(self.waiting.len());
        if self.waiting[at].op == Op::Flush {
            at = self.waiting[..at].iter().position(|io| io.op != Op::Read).unwrap_or(at);
        }
        Some(self.waiting.remove(at))
    }

    fn perform(&mut self, io: &Io) -> Result<(), Error> {
        let at = io.sector as usize * SECTOR;
        if self.broken && io.op != Op::Read {
            return Err(Error::Io);
        }
        if self.short && io.op != Op::Read {
            return Err(Error::NoMemory);
        }
        let end = at + io.sectors as usize * SECTOR;
        if io.op == Op::Read && self.bad.iter().any(|bad| (at..end).contains(bad)) {
            return Err(Error::Io);
        }
        match io.op {
            Op::Read => {
                let mut at = at;
                for piece in &io.memory {
                    // SAFETY: memory of a request that has not ended is valid, and only the disk uses it.
                    let out = unsafe { slice::from_raw_parts_mut(piece.addr.as_ptr(), piece.len) };
                    self.view.read(at, out);
                    at += piece.len;
                }
            }
            Op::Write | Op::Zero => {
                let (at, bytes) = written(io).expect("a write");
                self.view.write(at, &bytes);
                self.unflushed.push((at, bytes));
            }
            Op::Flush => {
                for (at, bytes) in self.unflushed.drain(..) {
                    self.stable.write(at, &bytes);
                }
            }
            Op::Discard { .. } => return Err(Error::Unsupported),
        }
        self.counters.requests += 1;
        Ok(())
    }
}

impl Device for CrashDisk {
    fn info(&self) -> Info {
        let sectors = (self.inner.borrow().view.len() / SECTOR) as u64;
        Info { state: State::Up, sectors, flush: true, transfer_max: 1 << 20, ..Info::NONE }
    }

    unsafe fn submit(&self, io: Io) {
        self.info().check(&io).expect("requests that the disk can serve");
        self.inner.borrow_mut().waiting.push(io);
    }

    fn on_change(&self, _waker: &Waker) {}

    fn counters(&self) -> Counters {
        self.inner.borrow().counters
    }

    fn close(&self) {}
}
