//! What a file that can be changed holds, page by page: those that were written, and of a file that persists those that
//! were read. The rest of that is [below](super::below).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, OnceCell, RefCell};

use super::super::memory::{self, For, Reserved, share};
use super::super::parts::{Errno, Part, PartMut, Result, room, total};
use super::super::turns::Turn;
use super::below::Below;
use super::block::{Block, PAGE, PAGE_COST};
use super::seals;
use crate::errno::{EBUSY, EFBIG, ENOMEM, ENOSPC, EPERM};

/// What a file holds.
pub(super) struct Contents {
    /// Those that were written, by their number; a page is zeroes where there is none.
    pages: RefCell<BTreeMap<u64, Vec<u8>>>,
    /// The first pages, since the file was mapped.
    block: RefCell<Option<Rc<Block>>>,
    size: Cell<u64>,
    /// What can no longer be done with it.
    pub(super) seals: Cell<u8>,
    space: Reserved,
    /// Where those of its pages are that are not here, if it persists.
    below: OnceCell<Box<dyn Below>>,
}

/// The piece of a page that `n` bytes from `offset` on begin with: the page, where in it, and how many bytes.
fn piece(offset: u64, n: usize) -> (u64, usize, usize) {
    let within = (offset % PAGE as u64) as usize;
    (offset / PAGE as u64, within, n.min(PAGE - within))
}

impl Contents {
    /// An empty file.
    pub(super) fn new() -> Self {
        let space = Reserved::new(For::Files);
        let (pages, block, size) = (RefCell::default(), RefCell::default(), Cell::new(0));
        let (seals, below) = (Cell::new(seals::SEAL), OnceCell::new());
        Contents { pages, block, size, seals, space, below }
    }

    /// From now on it is only a part of what is there.
    pub(super) fn set_below(&self, below: Box<dyn Below>) {
        let _ = self.below.set(below);
    }

    /// What it is a part of.
    pub(super) fn below(&self) -> Option<&dyn Below> {
        self.below.get().map(|below| &**below)
    }

    /// A turn to change it, if that takes more than a moment. Waits.
    pub(super) fn turn(&self) -> Result<Option<Turn<'_>>> {
        self.below().map(Below::turn).transpose()
    }

    /// How many pages are stored.
    pub(super) fn stored(&self) -> u64 {
        self.below().map_or(0, Below::pages)
    }

    /// Whether a page is not here, but may be elsewhere.
    fn is_missing(&self, number: u64) -> bool {
        self.below().is_some_and(|below| number < below.end())
            && number >= self.shared()
            && !self.pages.borrow().contains_key(&number)
    }

    /// Puts seals on it.
    ///
    /// # Errors
    ///
    /// EPERM if it takes no more; EBUSY if it is mapped and shall not be written.
    pub(super) fn seal(&self, more: u8) -> Result {
        if self.is_sealed(seals::SEAL) {
            return Err(Errno(EPERM));
        }
        let is_mapped = || self.block.borrow().as_ref().is_some_and(|b| Rc::strong_count(b) > 1);
        if more & seals::WRITE != 0 && is_mapped() {
            return Err(Errno(EBUSY));
        }
        self.seals.set(self.seals.get() | more);
        Ok(())
    }

    /// Whether it has one of these seals.
    pub(super) fn is_sealed(&self, by: u8) -> bool {
        self.seals.get() & by != 0
    }

    /// EPERM if a seal forbids this length.
    fn check_len(&self, len: u64) -> Result {
        let forbidden = len < self.len() && self.is_sealed(seals::SHRINK)
            || len > self.len() && self.is_sealed(seals::GROW);
        if forbidden { Err(Errno(EPERM)) } else { Ok(()) }
    }

    /// Bytes.
    pub(super) fn len(&self) -> u64 {
        self.size.get()
    }

    /// Bytes that it takes, in units of 512.
    pub(super) fn blocks(&self) -> u64 {
        let here = self.pages.borrow().len() as u64 + self.shared();
        here.max(self.stored()) * (PAGE as u64 / 512)
    }

    /// How many pages are in the block.
    pub(super) fn shared(&self) -> u64 {
        self.block.borrow().as_ref().map_or(0, |block| (block.len() / PAGE) as u64)
    }

    /// Whether the program has it mapped.
    pub(super) fn is_mapped(&self) -> bool {
        self.block.borrow().as_ref().is_some_and(|block| Rc::strong_count(block) > 1)
    }

    /// Calls `f` with each page of the block that has changed since this was called last, as far as the file goes.
    pub(super) fn look(&self, f: impl FnMut(u64)) {
        let block = self.block.borrow().clone();
        if let Some(block) = block {
            block.look(self.shared().min(self.len().div_ceil(PAGE as u64)) as usize, f);
        }
    }

    /// Copies a page. False if it is not here.
    pub(super) fn page(&self, number: u64, to: &mut [u8; PAGE]) -> bool {
        self.copy(number, 0, to)
    }

    /// The same, of a page that is going to be stored.
    pub(super) fn store(&self, number: u64, to: &mut [u8; PAGE]) -> bool {
        match self.block.borrow().as_ref() {
            Some(block) if number < (block.len() / PAGE) as u64 => block.store(number as usize, to),
            _ => return self.page(number, to),
        }
        true
    }

    /// Copies a part of a page; zeroes, and false, if it is not here.
    fn copy(&self, number: u64, within: usize, to: &mut [u8]) -> bool {
        match (self.block.borrow().as_ref(), self.pages.borrow().get(&number)) {
            (Some(block), _) if number < (block.len() / PAGE) as u64 => {
                block.read(number as usize * PAGE + within, to);
            }
            (_, Some(page)) => to.copy_from_slice(&page[within..within + to.len()]),
            (_, None) => {
                to.fill(0);
                return false;
            }
        }
        true
    }

    /// Copies a part of a page that is [missing](Contents::is_missing). Waits.
    #[inline(never)]
    fn copy_from_below(&self, number: u64, within: usize, to: &mut [u8]) -> Result {
        let mut page = [0; PAGE];
        let is_there = self.fetch(number, &mut page)?;
        to.copy_from_slice(&page[within..within + to.len()]);
        if is_there && self.is_missing(number) {
            // Without memory for it, it is fetched again the next time.
            let _ = self.with_page(number, |new| new.copy_from_slice(&page));
        }
        Ok(())
    }

    /// Whether a page is here.
    fn is_here(&self, number: u64) -> bool {
        number < self.shared() || self.pages.borrow().contains_key(&number)
    }

    /// Brings a page here, so that it can be changed; zeroes if all of it is going to be written. Waits.
    ///
    /// # Errors
    ///
    /// ENOSPC if there is no memory for it.
    #[inline(never)]
    fn bring(&self, below: &dyn Below, number: u64, whole: bool) -> Result {
        let mut is_clean = false;
        // Others bring it, or have all of the file in a block, while this waits.
        while !self.is_here(number) {
            let mut page = [0; PAGE];
            if !whole && number < below.end() {
                self.fetch(number, &mut page)?;
                if self.is_here(number) {
                    break;
                }
            }
            match self.with_page(number, |new| new.copy_from_slice(&page)) {
                // What has changed may be what takes the memory.
                Err(Errno(ENOSPC)) if !is_clean => below.clean()?,
                result => return result,
            }
            is_clean = true;
        }
        Ok(())
    }

    /// Brings all pages here, to be shared.
    ///
    /// # Errors
    ///
    /// ENOMEM if they are more than there is memory for.
    pub(super) fn bring_all(&self) -> Result {
        let Some(below) = self.below() else { return Ok(()) };
        let all = self.len().div_ceil(PAGE as u64);
        if all > (share(For::Files) / PAGE_COST) as u64 {
            return Err(Errno(ENOMEM));
        }
        // Others may need the memory meanwhile.
        for _ in 0..3 {
            let missing: Vec<u64> = (0..all).filter(|&number| self.is_missing(number)).collect();
            if missing.is_empty() {
                return Ok(());
            }
            for number in missing {
                // A hole takes memory as well.
                self.bring(below, number, false)
                    .map_err(|Errno(error)| Errno(if error == ENOSPC { ENOMEM } else { error }))?;
            }
        }
        Err(Errno(ENOMEM))
    }

    /// Copies a page from elsewhere, unless it is here by then. False if it is in neither place. Waits.
    fn fetch(&self, number: u64, to: &mut [u8; PAGE]) -> Result<bool> {
        let is_there = self.below().map_or(Ok(false), |below| below.fetch(number, to))?;
        if !self.is_missing(number) {
            return Ok(self.page(number, to));
        }
        // What is said to be behind the end is not the file's.
        let left = self.len().saturating_sub(number * PAGE as u64);
        to[left.min(PAGE as u64) as usize..].fill(0);
        Ok(is_there)
    }

    /// Has pages give up their memory that are stored as they are: some of those from `from` on, or the block if it is
    /// not mapped. Returns where to go on; nothing if there were none.
    pub(super) fn evict(&self, from: u64, is_stored: &dyn Fn(u64) -> bool) -> Option<u64> {
        /// So many at a time.
        const MOST: usize = 16;
        let end = self.below()?.end();
        let mut block = self.block.try_borrow_mut().ok()?;
        let is_unused = |block: &mut Rc<Block>| {
            Rc::strong_count(block) == 1 && (0..(block.len() / PAGE) as u64).all(is_stored)
        };
        if block.take_if(is_unused).is_some() {
            return Some(from);
        }
        let mut pages = self.pages.try_borrow_mut().ok()?;
        let (mut chosen, mut n) = ([0; MOST], 0);
        let stored = pages.range(from.min(end)..end).filter(|(number, _)| is_stored(**number));
        for (at, (&number, _)) in stored.take(MOST).enumerate() {
            (chosen[at], n) = (number, at + 1);
        }
        chosen[..n].iter().for_each(|number| drop(pages.remove(number)));
        // Not more than before.
        let _ = self.space.set(pages.len() * PAGE_COST);
        chosen[..n].last().map(|last| last + 1)
    }

    /// The block with all of the file, and with everything before `end`.
    ///
    /// # Errors
    ///
    /// ENOMEM if there is no memory for it, or if a smaller one is mapped, which cannot grow where it is.
    pub(super) fn share(&self, end: u64) -> Result<Rc<Block>> {
        let mut block = self.block.borrow_mut();
        if let Some(block) = block.as_ref() {
            if block.len() as u64 >= end {
                return Ok(Rc::clone(block));
            }
            if Rc::strong_count(block) > 1 {
                return Err(Errno(ENOMEM));
            }
        }
        memory::need(memory::THING)?;
        let mut pages = self.pages.borrow_mut();
        let end = end.max(self.len());
        // What goes into the block no longer counts here, so that the share need not have room for both.
        let spaces = [Some(&self.space), block.as_ref().map(|block| &block.space)];
        let before = spaces.map(|space| space.map_or(0, Reserved::bytes));
        let beyond = pages.range(end.div_ceil(PAGE as u64)..).count() * PAGE_COST;
        let give = |bytes: [usize; 2]| {
            for (space, bytes) in spaces.into_iter().zip(bytes) {
                // Not more than before.
                let _ = space.map(|space| space.set(bytes));
            }
        };
        give([beyond, 0]);
        let new = Block::new(end).map_err(|_| {
            give(before);
            Errno(ENOMEM)
        })?;
        if let Some(old) = block.take() {
            new.take(&old);
        }
        let beyond = pages.split_off(&((new.len() / PAGE) as u64));
        for (number, page) in core::mem::replace(&mut *pages, beyond) {
            new.write(number as usize * PAGE, &page);
        }
        *block = Some(Rc::clone(&new));
        Ok(new)
    }

    /// Fills the parts from `offset` on, as far as the file goes. Waits for what is elsewhere.
    pub(super) fn read(&self, parts: &mut [PartMut], offset: u64) -> Result<usize> {
        let mut left = usize::try_from(self.len().saturating_sub(offset)).unwrap_or(usize::MAX);
        left = left.min(room(parts));
        let mut at = offset;
        for part in parts {
            let mut part: &mut [u8] = part;
            while !part.is_empty() && left > 0 {
                let (page, within, n) = piece(at, part.len().min(left));
                let (now, rest) = part.split_at_mut(n);
                if !self.copy(page, within, now) && self.is_missing(page) {
                    match self.copy_from_below(page, within, now) {
                        Err(error) if at == offset => return Err(error),
                        Err(_) => return Ok((at - offset) as usize),
                        Ok(()) => {}
                    }
                }
                (part, left, at) = (rest, left - n, at + n as u64);
            }
        }
        Ok((at - offset) as usize)
    }

    /// Writes from `offset` on, as much as there is room for. Waits for what is elsewhere.
    ///
    /// # Errors
    ///
    /// ENOSPC if there is none; EFBIG for more than an `off_t` can say; EPERM against a seal.
    pub(super) fn write(&self, parts: &[Part], offset: u64) -> Result<usize> {
        let end = offset.checked_add(total(parts) as u64).filter(|&end| end <= i64::MAX as u64);
        let end = end.ok_or(Errno(EFBIG))?;
        if self.is_sealed(seals::WRITE | seals::FUTURE_WRITE) {
            return Err(Errno(EPERM));
        }
        self.check_len(end.max(self.len()))?;
        self.clear_between(offset);
        let mut at = offset;
        let mut written = || {
            for part in parts {
                let mut part: &[u8] = part;
                while !part.is_empty() {
                    let (page, within, n) = piece(at, part.len());
                    let (now, rest) = part.split_at(n);
                    if let Some(below) = self.below() {
                        let is_end = at + n as u64 >= self.len();
                        below.make_room(page)?;
                        self.bring(below, page, within == 0 && (n == PAGE || is_end))?;
                    }
                    match self.block.borrow().as_ref() {
                        Some(block) if page < (block.len() / PAGE) as u64 => {
                            block.write(at as usize, now)
                        }
                        _ => self.with_page(page, |page| {
                            page[within..within + n].copy_from_slice(now)
                        })?,
                    }
                    (part, at) = (rest, at + n as u64);
                    self.size.set(self.len().max(at));
                    if let Some(below) = self.below() {
                        below.changed(page);
                    }
                }
            }
            Ok(())
        };
        match written() {
            Err(error) if at == offset => Err(error),
            _ => Ok((at - offset) as usize),
        }
    }

    /// What a mapping has written behind the end must not reappear when the file grows.
    fn clear_between(&self, new_end: u64) {
        if let (true, Some(block)) = (new_end > self.len(), self.block.borrow().as_ref()) {
            block.clear(self.len());
        }
    }

    /// Calls `f` to change a page, which is made if it is not there.
    fn with_page(&self, number: u64, f: impl FnOnce(&mut [u8])) -> Result {
        if let Some(page) = self.pages.borrow_mut().get_mut(&number) {
            f(page);
            return Ok(());
        }
        // Other pages of this file may give way.
        self.space.set(self.space.bytes() + PAGE_COST)?;
        let page = new_page().and_then(|page| room_in_map(1).map(|()| page));
        let pages = &mut *self.pages.borrow_mut();
        let mut page = page.inspect_err(|_| {
            let _ = self.space.set(pages.len() * PAGE_COST);
        })?;
        f(&mut page);
        put_page(pages, number, page);
        // Pages of this file may have given way to this one.
        let _ = self.space.set(pages.len() * PAGE_COST);
        Ok(())
    }

    /// Sets the length: what is beyond is lost, what is added is zeroes. Waits for what is elsewhere.
    ///
    /// # Errors
    ///
    /// EFBIG for more than an `off_t` can say; EPERM against a seal; ENOMEM, if only a part is cut off.
    pub(super) fn set_len(&self, len: u64) -> Result {
        if len > i64::MAX as u64 {
            return Err(Errno(EFBIG));
        }
        self.check_len(len)?;
        let (last, within, _) = piece(len, 0);
        let end = last + u64::from(within > 0);
        if end > 0 && self.pages.borrow().range(end..).next().is_some() {
            memory::need(memory::THING)?;
        }
        if let Some(below) = self.below() {
            if within > 0 && len < self.len() && self.is_missing(last) {
                self.bring(below, last, false)?;
            }
            below.cut(end);
        }
        self.clear_between(len);
        // There may be pages behind the end too, which `allocate` made.
        let mut pages = self.pages.borrow_mut();
        let beyond = match end {
            0 => core::mem::take(&mut *pages),
            _ if pages.range(end..).next().is_some() => pages.split_off(&end),
            _ => BTreeMap::new(),
        };
        if let Some(page) = pages.get_mut(&last) {
            page[within..].fill(0);
        }
        let mut block = self.block.borrow_mut();
        if let Some(block) = block.as_ref() {
            block.clear(len);
        }
        // An empty file needs none, unless it is mapped.
        let unused = block.take_if(|block| len == 0 && Rc::strong_count(block) == 1);
        // Not more than before.
        let _ = self.space.set(pages.len() * PAGE_COST);
        drop((beyond, pages, unused));
        self.size.set(len);
        Ok(())
    }

    /// Reserves memory for `n` bytes from `offset` on, so that writing them cannot fail.
    ///
    /// # Errors
    ///
    /// ENOSPC if there is not enough for all of it, EFBIG, EPERM against a seal; nothing has changed then.
    pub(super) fn allocate(&self, offset: u64, n: u64) -> Result {
        let end = offset.checked_add(n).filter(|&end| end <= i64::MAX as u64);
        let end = end.ok_or(Errno(EFBIG))?;
        self.check_len(end.max(self.len()))?;
        if let Some(below) = self.below() {
            return below.allocate(offset / PAGE as u64..end.div_ceil(PAGE as u64));
        }
        let start = (offset / PAGE as u64).max(self.shared());
        let wanted = start..end.div_ceil(PAGE as u64).max(start);
        let mut pages = self.pages.borrow_mut();
        let there = pages.range(wanted.clone()).count();
        let more = (wanted.end - wanted.start) as usize - there;
        let sum = (pages.len() + more).checked_mul(PAGE_COST).ok_or(Errno(ENOSPC))?;
        self.space.set(sum)?;
        // What remains to fail is the heap: the pages are all there before one is put in.
        let mut new = Vec::new();
        let mut made = new.try_reserve_exact(more).map_err(|_| Errno(ENOSPC));
        while made.is_ok() && new.len() < more {
            made = new_page().map(|page| new.push(page));
        }
        made = made.and_then(|()| room_in_map(more));
        if made.is_err() {
            let _ = self.space.set(pages.len() * PAGE_COST);
            return made;
        }
        let mut new = new.into_iter();
        for number in wanted {
            if !pages.contains_key(&number) {
                let Some(page) = new.next() else { break };
                put_page(&mut pages, number, page);
            }
        }
        Ok(())
    }
}

/// Zeroes.
///
/// # Errors
///
/// ENOSPC if the heap has no room for them.
fn new_page() -> Result<Vec<u8>> {
    let mut page = Vec::new();
    page.try_reserve_exact(PAGE).map_err(|_| Errno(ENOSPC))?;
    page.resize(PAGE, 0);
    Ok(page)
}

/// Memory for so many pages' places in the map.
///
/// # Errors
///
/// ENOSPC.
fn room_in_map(pages: usize) -> Result {
    memory::need(1024 + 128 * pages).map_err(|_| Errno(ENOSPC))
}

/// The code of a map's insertion is long: once is enough.
#[inline(never)]
fn put_page(pages: &mut BTreeMap<u64, Vec<u8>>, number: u64, page: Vec<u8>) {
    pages.insert(number, page);
}

#[cfg(test)]
mod tests {
    use super::super::super::memory::{share, used};
    use super::*;
    use alloc::vec;

    fn write(file: &Contents, bytes: &[u8], at: u64) -> Result<usize> {
        file.write(&[Part::new(bytes)], at)
    }

    fn read(file: &Contents, n: usize, at: u64) -> Vec<u8> {
        let mut bytes = vec![7; n];
        let (one, two) = bytes.split_at_mut(n / 3);
        let n = file.read(&mut [PartMut::new(one), PartMut::new(two)], at).unwrap();
        bytes.truncate(n);
        bytes
    }

    #[test]
    fn it_holds_what_a_vector_would() {
        let file = Contents::new();
        let mut model: Vec<u8> = vec![];
        // A generator of a fixed sequence: steps across the borders of pages.
        let mut random = 1u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        for step in 0..400 {
            let (at, n) = (next(20_000) as usize, next(9000) as usize);
            // Nothing at all, too, which does not make it longer.
            let n = if step % 7 == 6 { 0 } else { n };
            if step % 5 == 4 {
                model.resize(at, 0);
                file.set_len(at as u64).unwrap();
            } else {
                let bytes = vec![step as u8; n];
                if n > 0 {
                    model.resize(model.len().max(at + n), 0);
                    model[at..at + n].copy_from_slice(&bytes);
                }
                assert_eq!(write(&file, &bytes, at as u64), Ok(n));
            }
            assert_eq!(file.len(), model.len() as u64, "{step}");
            let from = next(20_000) as usize;
            let expected = &model[from.min(model.len())..];
            assert_eq!(read(&file, 30_000, from as u64), expected, "{step}");
        }
    }

    #[test]
    fn holes_take_nothing_and_ends_are_kept() {
        let file = Contents::new();
        assert_eq!(write(&file, b"end", 1 << 40), Ok(3));
        assert_eq!((file.len(), file.blocks()), ((1 << 40) + 3, 8));
        assert_eq!(read(&file, 6, (1 << 40) - 3), b"\0\0\0end");
        assert_eq!(write(&file, b"x", i64::MAX as u64), Err(Errno(EFBIG)));
        assert_eq!(file.set_len(u64::MAX), Err(Errno(EFBIG)));
        assert_eq!((file.set_len(2), file.blocks(), used(For::Files)), (Ok(()), 0, 0));
    }

    #[test]
    fn a_file_that_is_mapped_takes_its_share_once() {
        let file = Contents::new();
        let most = share(For::Files) / PAGE_COST / 4 * 3;
        assert_eq!(write(&file, b"begin", 0), Ok(5));
        assert_eq!(file.allocate(0, (most * PAGE) as u64), Ok(()));
        file.set_len((most * PAGE) as u64 - 1).unwrap();
        let before = used(For::Files);
        // More than there is, and then what there was.
        assert_eq!(file.share(share(For::Files) as u64).err(), Some(Errno(ENOMEM)));
        assert_eq!(used(For::Files), before);
        let block = file.share(0).unwrap();
        assert_eq!((block.len(), used(For::Files)), (most * PAGE, before));
        assert_eq!(file.share((block.len() + 1) as u64).err(), Some(Errno(ENOMEM)));
        drop(block);
        let end = file.len() + PAGE as u64;
        assert_eq!(file.share(end).unwrap().len(), (most + 1) * PAGE);
        assert_eq!((used(For::Files), read(&file, 5, 0)), (before + PAGE_COST, b"begin".to_vec()));
    }

    #[test]
    fn what_a_mapping_wrote_behind_the_end_is_not_in_the_file() {
        for grow in [
            |file: &Contents| file.set_len(40),
            |file: &Contents| write(file, b"end", 37).map(|_| ()),
        ] {
            let file = Contents::new();
            write(&file, b"text", 0).unwrap();
            file.share(0).unwrap().write(4, &[7; 100]);
            grow(&file).unwrap();
            assert_eq!(read(&file, 100, 0)[..37], [&b"text"[..], &[0; 33]].concat());
            assert_eq!(file.len(), 40);
        }
    }

    #[test]
    fn a_share_of_the_memory_is_all_there_is() {
        let file = Contents::new();
        let most = share(For::Files) / PAGE_COST;
        assert_eq!(file.allocate(0, (most * PAGE) as u64), Ok(()));
        assert_eq!(write(&file, &[1; 10], (most * PAGE - 4) as u64), Ok(4));
        assert_eq!(write(&file, b"x", (most * PAGE) as u64), Err(Errno(ENOSPC)));
        assert_eq!(read(&file, 9, (most * PAGE - 5) as u64), b"\0\x01\x01\x01\x01");
        file.set_len(0).unwrap();
        assert_eq!((used(For::Files), write(&file, b"x", 0)), (0, Ok(1)));
        drop(file);
        assert_eq!(used(For::Files), 0);
    }
}
