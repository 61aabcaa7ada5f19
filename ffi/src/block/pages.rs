//! The pages of a database, between redb and its disk: what [`store`](super::store) has in memory of it.
//!
//! redb's own cache is left out, so that every page that redb looks at passes here:
//!
//! - **A disk that somebody has forged.** Pages of a tree lead to others, and redb follows them, by recursion. On such
//!   a disk they may lead deeper than a stack, or around in a circle. So whoever goes down more levels than a tree can
//!   have gets an error, and so does whoever asks for a page of an impossible size.
//! - **Read-ahead.** Pages that follow each other are read together, twice as many each time.
//! - **Commits.** What redb writes is on the disk when redb has it flushed: until then it is here, unless it becomes
//!   too much. It is written in the order of the disk, many pages at a time.

use super::Buffer;
use super::redb::{Blocking, Page, Storage, UNIT, Wait};
use redb::StorageBackend;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io::{self, ErrorKind};

/// A tree has fewer levels of branches: with 30 pages below each, as most have more, it would fill any disk.
const LEVELS: usize = 16;
/// Pages that are read ahead, at most.
const AHEAD: usize = 32;
const AHEAD_BYTES: usize = 2 * AHEAD * UNIT as usize;
/// Units that are written with one request, at most, and at a time. That is how many may have changed before others get
/// a turn, while the disk is at work.
const RUN: usize = 32;
const BATCH: usize = 128;

/// The pages of a database.
pub(super) struct Pages<W: Wait = Blocking> {
    storage: Storage<W>,
    units: RefCell<Units>,
    /// The path of the one who goes through the database now.
    path: RefCell<Path>,
}

// SAFETY: as for `Storage`: nobody uses them but the one thread whose the disk is.
unsafe impl<W: Wait> Send for Pages<W> {}
// SAFETY: as above.
unsafe impl<W: Wait> Sync for Pages<W> {}

impl<W: Wait> Pages<W> {
    /// Those of a storage, of which `memory` bytes are kept.
    pub(super) fn new(storage: Storage<W>, memory: usize) -> Pages<W> {
        let units = Units { most: (memory / UNIT as usize).max(16), ..Units::default() };
        Pages { storage, units: RefCell::new(units), path: RefCell::default() }
    }

    /// Reads a page, and those that follow it if those before it are here.
    fn fetch(&self, page: Page) -> io::Result<Vec<u8>> {
        let mut wanted = vec![page];
        {
            let (path, units) = (self.path.borrow(), self.units.borrow());
            let (before, after) = path.around(page);
            let read = before.iter().rev().take_while(|page| units.has(**page)).count();
            let more = read.min(AHEAD).min(units.most / 8);
            wanted.extend(after.iter().take(more).filter(|page| !units.has(**page)));
        }
        let (end, mut bytes) = (self.storage.len()?, 0);
        wanted.retain(|next| {
            // How large the neighbours are, the disk tells.
            bytes += next.len;
            *next == page || next.is_within(end) && bytes <= AHEAD_BYTES
        });
        let mut read = self.read_all(&wanted);
        if read.is_err() && wanted.len() > 1 {
            // It may be about a neighbour.
            wanted.truncate(1);
            read = self.read_all(&wanted);
        }
        read
    }

    /// Reads pages, and keeps them; what the first one has.
    fn read_all(&self, wanted: &[Page]) -> io::Result<Vec<u8>> {
        self.units.borrow_mut().reading += 1;
        let read = self.wait(|storage| storage.read_all(wanted));
        let units = &mut *self.units.borrow_mut();
        for (page, read) in wanted.iter().zip(read.iter().flatten()) {
            units.complete(*page, read);
        }
        units.has_read();
        let read = read?;
        let mut bytes = reserve(wanted[0].len)?;
        bytes.extend_from_slice(&read[0]);
        // What is not on the disk yet is newer.
        units.copy(wanted[0], &mut bytes);
        units.shrink();
        Ok(bytes)
    }

    /// Calls `f`, which may wait for the disk. Others go their own ways through the database meanwhile: if there was one
    /// path for all, each who begins a tree would let the one who waits begin anew to count levels.
    fn wait<T>(&self, f: impl FnOnce(&Storage<W>) -> T) -> T {
        let path = self.path.take();
        let result = f(&self.storage);
        self.path.replace(path);
        result
    }

    /// Where redb has pages.
    fn regions(&self) -> Regions {
        let [header, pages] = [16, 20].map(|at| u64::from(self.storage.number(at)));
        Regions { header, all: header + pages }
    }

    /// Writes what has changed to the disk, where it need not be stable yet.
    fn write_out(&self) -> io::Result<()> {
        loop {
            let runs = self.units.borrow_mut().take_changed()?;
            if runs.is_empty() {
                return Ok(());
            }
            let result = self.wait(|storage| storage.write_all(runs));
            self.units.borrow_mut().is_written(result.is_ok());
            result?;
        }
    }
}

/// Whether it is the header, which the storage has in memory.
fn is_header(offset: u64) -> bool {
    offset < UNIT
}

impl<W: Wait> StorageBackend for Pages<W> {
    fn len(&self) -> io::Result<u64> {
        self.storage.len()
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        if is_header(offset) {
            return self.wait(|storage| storage.read(offset, len));
        }
        let page = Page { offset, len };
        let all = self.storage.len()?;
        if !page.is_whole() || !page.is_within(all) {
            return Err(contradiction());
        }
        let mut bytes = reserve(len)?;
        bytes.resize(len, 0);
        if !self.units.borrow_mut().copy(page, &mut bytes) {
            bytes = self.fetch(page)?;
        }
        self.path.borrow_mut().goes_on(offset, &bytes, self.regions())?;
        Ok(bytes)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if is_header(offset) {
            return self.wait(|storage| storage.write(offset, data));
        }
        let page = Page { offset, len: data.len() };
        if !page.is_whole() {
            return Err(contradiction());
        }
        let is_much = |units: &Units| units.changed.len() >= BATCH.min(units.most / 2);
        if is_much(&self.units.borrow()) {
            self.write_out()?;
        }
        let units = &mut *self.units.borrow_mut();
        units.change(page, data)?;
        units.shrink();
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.units.borrow_mut().cut(len / UNIT);
        self.wait(|storage| storage.set_len(len))
    }

    fn sync_data(&self, eventual: bool) -> io::Result<()> {
        self.write_out()?;
        self.wait(|storage| storage.sync_data(eventual))
    }
}

impl<W: Wait> fmt::Debug for Pages<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pages of {:?}", self.storage)
    }
}

/// What is said of a disk that cannot be as it is.
pub(super) fn contradiction() -> io::Error {
    let what = "the disk is damaged: it contradicts itself. Use a copy of it that is not, or fill its first MiB with \
                zeros, which gives all of its files up";
    io::Error::new(ErrorKind::InvalidData, what)
}

/// Room for so many bytes: how many, the disk tells.
fn reserve(len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| ErrorKind::OutOfMemory)?;
    Ok(bytes)
}

impl Page {
    /// Whether it consists of whole units.
    fn is_whole(self) -> bool {
        self.offset % UNIT == 0 && self.len as u64 % UNIT == 0 && self.len > 0
    }

    /// Whether a database of so many bytes can have such a page. The largest ones keep account of what is free.
    fn is_within(self, all: u64) -> bool {
        let largest = (1 << 20).max(all / 512);
        self.len as u64 <= largest && self.offset.checked_add(self.len as u64) <= Some(all)
    }

    /// The numbers of its units.
    fn units(self) -> impl Iterator<Item = u64> + Clone {
        let first = self.offset / UNIT;
        first..first + self.len as u64 / UNIT
    }
}

/// How redb divides its file: behind a unit there are regions of `all` units each, the first of them for their headers.
#[derive(Clone, Copy)]
struct Regions {
    header: u64,
    all: u64,
}

impl Regions {
    /// The page that a number in a branch means: 20 bits for its place among those of its size in the region, 20 for
    /// the region, and the highest 5 for the size.
    fn page(self, number: u64) -> Option<Page> {
        let (order, region) = ((number >> 59) as u32, number >> 20 & 0xf_ffff);
        let len = UNIT.checked_shl(order)?;
        let place = number & (0xf_ffff >> order);
        let units = 1 + region.checked_mul(self.all)? + self.header;
        let offset = units.checked_mul(UNIT)?.checked_add(place * len)?;
        Some(Page { offset, len: len.try_into().ok()? })
    }

    /// The pages that a branch leads to: behind eight bytes, of which two say how many keys there are, it has a checksum
    /// of sixteen bytes for each, and then their numbers.
    fn below(self, branch: &[u8]) -> Vec<Page> {
        let keys = branch.get(2..4).map_or(0, |n| usize::from(u16::from_le_bytes([n[0], n[1]])));
        let numbers = branch.get(8 + 16 * (keys + 1)..).unwrap_or_default().chunks_exact(8);
        let numbers =
            numbers.take(keys + 1).map(|n| u64::from_le_bytes(n.try_into().expect("eight")));
        numbers.filter_map(|number| self.page(number)).collect()
    }
}

/// The branches that lead to the page that was read last, each with the pages that it leads to, in their order.
#[derive(Default)]
struct Path(Vec<(u64, Vec<Page>)>);

impl Path {
    /// A page was read: a branch belongs below the last one that leads to it, or is the first one of a tree.
    ///
    /// # Errors
    ///
    /// If no tree has so many levels.
    fn goes_on(&mut self, offset: u64, bytes: &[u8], regions: Regions) -> io::Result<()> {
        /// The first byte of redb's branches.
        const BRANCH: u8 = 2;
        if bytes.first() != Some(&BRANCH) {
            return Ok(());
        }
        let leads = |(_, below): &(u64, Vec<Page>)| below.iter().any(|page| page.offset == offset);
        let above = self.0.iter().rposition(leads).map_or(0, |above| above + 1);
        self.0.truncate(above);
        if above == LEVELS {
            self.0.clear();
            return Err(contradiction());
        }
        self.0.push((offset, regions.below(bytes)));
        Ok(())
    }

    /// The neighbours of a page, below the last branch.
    fn around(&self, page: Page) -> (&[Page], &[Page]) {
        let below = self.0.last().map_or(&[][..], |(_, below)| below);
        match below.iter().position(|one| *one == page) {
            Some(at) => (&below[..at], &below[at + 1..]),
            None => (&[], &[]),
        }
    }
}

/// What of the database is in memory.
#[derive(Default)]
struct Units {
    /// By their numbers.
    all: BTreeMap<u64, Unit>,
    /// Those that are the next to go, unless they were used.
    queue: VecDeque<u64>,
    /// Those that are not on the disk as they are, and those of them that are being written.
    changed: BTreeSet<u64>,
    writing: BTreeSet<u64>,
    /// How many reads of the disk are under way; and what was changed or written since, or cut off, of which they may
    /// bring what the disk had before: if that is more than may be here, all that they bring counts as old.
    reading: usize,
    touched: BTreeSet<u64>,
    cut: Option<u64>,
    most: usize,
}

struct Unit {
    bytes: Box<[u8]>,
    is_used: bool,
}

impl Units {
    fn has(&self, page: Page) -> bool {
        page.units().all(|unit| self.all.contains_key(&unit))
    }

    /// Copies what is here of a page; whether all of it is.
    fn copy(&mut self, page: Page, to: &mut [u8]) -> bool {
        let mut is_all = true;
        for (number, to) in page.units().zip(to.chunks_mut(UNIT as usize)) {
            match self.all.get_mut(&number) {
                Some(unit) => {
                    to.copy_from_slice(&unit.bytes);
                    unit.is_used = true;
                }
                None => is_all = false,
            }
        }
        is_all
    }

    fn put(&mut self, number: u64, bytes: &[u8]) -> io::Result<()> {
        let mut copy = reserve(bytes.len())?;
        copy.extend_from_slice(bytes);
        self.all.insert(number, Unit { bytes: copy.into(), is_used: false });
        self.queue.push_back(number);
        Ok(())
    }

    /// Takes from a page that was read what is not here. Without memory for it, it is read again the next time.
    ///
    /// A page that is read ahead may be one that a writer changes: while the read is under way, the writer puts it on
    /// the disk, and it goes from here. Then what the read brings is older than the disk, and nobody may build on it.
    fn complete(&mut self, page: Page, bytes: &[u8]) {
        for (number, bytes) in page.units().zip(bytes.chunks(UNIT as usize)) {
            let is_old =
                self.touched.contains(&number) || self.cut.is_some_and(|cut| number >= cut);
            if !is_old && !self.all.contains_key(&number) {
                let _ = self.put(number, bytes);
            }
        }
    }

    /// A read is over.
    fn has_read(&mut self) {
        self.reading -= 1;
        if self.reading == 0 {
            self.touched.clear();
            self.cut = None;
        }
    }

    fn change(&mut self, page: Page, bytes: &[u8]) -> io::Result<()> {
        for (number, bytes) in page.units().zip(bytes.chunks(UNIT as usize)) {
            match self.all.get_mut(&number) {
                Some(unit) => unit.bytes.copy_from_slice(bytes),
                None => self.put(number, bytes)?,
            }
            self.changed.insert(number);
            self.touch(number);
        }
        Ok(())
    }

    fn touch(&mut self, number: u64) {
        if self.reading > 0 && self.cut != Some(0) {
            self.touched.insert(number);
            if self.touched.len() > self.most {
                self.touched.clear();
                self.cut = Some(0);
            }
        }
    }

    /// Lets go of the oldest ones that were not used since, if there are too many.
    fn shrink(&mut self) {
        for _ in 0..2 * self.queue.len() {
            if self.all.len() <= self.most {
                break;
            }
            let Some(number) = self.queue.pop_front() else { break };
            let must_stay = self.changed.contains(&number) || self.writing.contains(&number);
            match self.all.get_mut(&number) {
                Some(unit) if must_stay || unit.is_used => {
                    unit.is_used = false;
                    self.queue.push_back(number);
                }
                _ => drop(self.all.remove(&number)),
            }
        }
    }

    /// What begins there is no longer the database's.
    fn cut(&mut self, from: u64) {
        drop(self.all.split_off(&from));
        drop(self.changed.split_off(&from));
        self.queue.retain(|number| *number < from);
        if self.reading > 0 {
            self.cut = Some(self.cut.map_or(from, |before| before.min(from)));
        }
    }

    /// Some of what has changed, to be written: where, and what.
    fn take_changed(&mut self) -> io::Result<Vec<(u64, Buffer)>> {
        let mut runs: Vec<(u64, Buffer)> = Vec::new();
        while let Some(&first) = self.changed.first().filter(|_| self.writing.len() < BATCH) {
            let follows = |(number, unit): &(u64, &u64)| number == *unit;
            let n = (first..).zip(self.changed.iter()).take(RUN).take_while(follows).count();
            // Memory may be there in smaller pieces only.
            let sizes = std::iter::successors(Some(n), |n| Some(n / 2)).take_while(|n| *n > 0);
            let buffer = sizes.map(|n| Buffer::new(n * UNIT as usize)).find_map(Result::ok);
            let Some(mut buffer) = buffer else {
                if runs.is_empty() {
                    return Err(ErrorKind::OutOfMemory.into());
                }
                break;
            };
            for (number, to) in (first..).zip(buffer.chunks_mut(UNIT as usize)) {
                to.copy_from_slice(&self.all[&number].bytes);
                self.changed.remove(&number);
                self.writing.insert(number);
            }
            runs.push((first * UNIT, buffer));
        }
        Ok(runs)
    }

    /// What was taken is on the disk, or is not.
    fn is_written(&mut self, is_ok: bool) {
        let written = std::mem::take(&mut self.writing);
        written.iter().for_each(|number| self.touch(*number));
        if !is_ok {
            self.changed.extend(written.iter().filter(|number| self.all.contains_key(number)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_while_it_was_read_is_not_taken_for_new() {
        let page = |n: u64| Page { offset: n * UNIT, len: UNIT as usize };
        let bytes = |byte| [byte; UNIT as usize];
        let mut units = Units { most: 1, ..Units::default() };
        // It is changed, written, and gone, before an earlier read of it ends.
        units.reading += 1;
        units.change(page(1), &bytes(2)).unwrap();
        assert_eq!(units.take_changed().unwrap().len(), 1);
        units.is_written(true);
        for other in 2..4 {
            units.complete(page(other), &bytes(7));
        }
        units.shrink();
        assert!(!units.has(page(1)) && units.has(page(3)));
        units.complete(page(1), &bytes(1));
        assert!(!units.has(page(1)));
        units.has_read();
        // One that began later has what is there.
        units.reading += 1;
        units.complete(page(1), &bytes(2));
        assert!(units.has(page(1)));
        // When more has changed than is remembered, nothing that is being read is kept.
        for n in 4..6 {
            units.change(page(n), &bytes(3)).unwrap();
        }
        units.complete(page(9), &bytes(1));
        assert_eq!((units.touched.len(), units.has(page(9))), (0, false));
        units.has_read();
        units.complete(page(9), &bytes(1));
        assert!(units.has(page(9)));
    }
}
