//! The address space over page tables that are a map.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::{self, Vec};

use super::*;
use crate::fake::{Ram, Rng};

const BASE: usize = 0x4000_0000_0000;
const PAGE: usize = PAGE_SIZE;
const RW: Prot = Prot::ReadWrite;

/// Page tables of which only this many entries can be made.
struct Fake {
    pages: BTreeMap<usize, (Frame, Prot)>,
    room: usize,
}

// SAFETY: remembers exactly what it is told.
unsafe impl PageTables for Fake {
    fn map(&mut self, page: VirtPage, frame: Frame, prot: Prot) -> Result<(), OutOfMemory> {
        if self.pages.len() == self.room {
            return Err(OutOfMemory);
        }
        assert!(self.pages.insert(page.0, (frame, prot)).is_none(), "mapped twice");
        Ok(())
    }

    fn unmap(&mut self, page: VirtPage) -> Option<Frame> {
        self.pages.remove(&page.0).map(|(frame, _)| frame)
    }

    fn protect(&mut self, page: VirtPage, prot: Prot) -> bool {
        self.pages.get_mut(&page.0).map(|entry| entry.1 = prot).is_some()
    }
}

type Space = AddressSpace<Fake>;

/// An address space of `window` pages over `pages` pages of RAM, which live for ever.
fn space(pages: usize, window: usize) -> Space {
    let ram = Box::leak(Box::new(Ram::new(pages)));
    let frames = Box::leak(Box::new(Frames::new()));
    // SAFETY: the RAM lives for ever, and belongs to these frames alone.
    unsafe { frames.init(&[ram.range()], 0).unwrap() };
    let tables = Fake { pages: BTreeMap::new(), room: usize::MAX };
    AddressSpace::new(tables, frames, BASE..BASE + window * PAGE)
}

fn free(space: &Space) -> usize {
    space.frames.with(|frames| frames.stats().free).unwrap()
}

/// The first word of a page, through the fake tables.
fn word(space: &Space, page: usize) -> *mut u64 {
    let (frame, _) = space.tables.pages[&page];
    core::ptr::with_exposed_provenance_mut(frame.0)
}

/// What the tests call: they use none of the memory that these take away.
impl Space {
    fn fixed(&mut self, addr: usize, pages: usize, prot: Option<Prot>) -> Result<(), MapError> {
        // SAFETY: the tests keep no reference to memory.
        unsafe { self.map_fixed(addr, pages * PAGE, prot, true) }
    }

    fn give_up(&mut self, addr: usize, pages: usize) -> Result<(), MapError> {
        // SAFETY: as above.
        unsafe { self.unmap(addr, pages * PAGE) }
    }

    fn change(&mut self, addr: usize, pages: usize, prot: Prot) -> Result<(), MapError> {
        // SAFETY: as above.
        unsafe { self.protect(addr, pages * PAGE, prot) }
    }

    /// Has entries for pages that are mapped where RAM lies.
    fn identity(&mut self, addr: usize, pages: usize) {
        for page in (addr..addr + pages * PAGE).step_by(PAGE) {
            self.tables.pages.insert(page, (Frame(page), RW));
        }
    }

    fn prots(&self, addr: usize, pages: usize) -> Vec<Prot> {
        let pages = (addr..addr + pages * PAGE).step_by(PAGE);
        pages.map(|page| self.tables.pages[&page].1).collect()
    }
}

#[test]
fn reserving_costs_nothing_and_edges_can_be_trimmed() {
    let mut space = space(64, 1 << 20);
    let free_before = free(&space);
    let addr = space.reserve(1 << 30).unwrap();
    let aligned = (addr + 1).next_multiple_of(1 << 21);
    space.give_up(addr, (aligned - addr) / PAGE).unwrap();
    space.give_up(aligned + (1 << 22), ((1 << 30) - (1 << 22) - (aligned - addr)) / PAGE).unwrap();
    assert_eq!(space.stats(), VmStats { reserved: 1024, ..VmStats::default() });
    assert_eq!(free(&space), free_before);
    assert!(space.tables.pages.is_empty());
}

#[test]
fn minor_heaps_are_committed_and_given_back_by_fixed_maps() {
    let mut space = space(64, 1 << 20);
    let before = free(&space);
    let addr = space.reserve(1000 * PAGE).unwrap();
    space.fixed(addr + 10 * PAGE, 20, Some(Prot::ReadWrite)).unwrap();
    assert_eq!(free(&space), before - 20);
    let page = addr + 15 * PAGE;
    // SAFETY: a committed page of this test.
    unsafe {
        assert_eq!(word(&space, page).read(), 0);
        word(&space, page).write(7);
    }
    space.fixed(addr + 10 * PAGE, 20, None).unwrap();
    assert_eq!(free(&space), before);
    assert!(space.tables.pages.is_empty());
    space.change(addr + 10 * PAGE, 20, Prot::ReadWrite).unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { word(&space, page).read() }, 0);
    assert_eq!(space.stats(), VmStats { reserved: 980, committed: 20, direct: 0 });
    space.give_up(addr, 1000).unwrap();
    assert_eq!((space.stats(), free(&space)), (VmStats::default(), before));
}

#[test]
fn failed_commit_is_undone() {
    let mut space = space(64, 1 << 20);
    let before = free(&space);
    let addr = space.reserve(1000 * PAGE).unwrap();
    space.change(addr + 5 * PAGE, 2, Prot::Read).unwrap();
    for attempt in [20, 1000] {
        space.tables.room = if attempt == 20 { 10 } else { usize::MAX };
        let result = space.change(addr, attempt, Prot::ReadWrite);
        let error = if attempt == 20 { MapError::NoMemory } else { MapError::OutOfRange };
        assert_eq!(result, Err(error));
        assert_eq!(free(&space), before - 2);
        assert_eq!(space.tables.pages.len(), 2);
        assert!(space.tables.pages.values().all(|&(_, prot)| prot == Prot::Read));
        assert_eq!(space.stats(), VmStats { reserved: 998, committed: 2, direct: 0 });
    }
    assert_eq!(space.fixed(addr, 1000, Some(Prot::Read)), Err(MapError::OutOfRange));
    assert_eq!(space.stats(), VmStats { reserved: 1000, committed: 0, direct: 0 });
    assert_eq!(free(&space), before);
}

#[test]
fn contents_survive_no_access() {
    let mut space = space(64, 1 << 20);
    let addr = space.reserve(4 * PAGE).unwrap();
    space.change(addr + PAGE, 2, Prot::ReadWrite).unwrap();
    // SAFETY: a committed page of this test.
    unsafe { word(&space, addr + PAGE).write(7) };
    space.change(addr, 4, Prot::None).unwrap();
    assert_eq!(space.tables.pages[&(addr + PAGE)].1, Prot::None);
    assert_eq!(space.stats(), VmStats { reserved: 2, committed: 2, direct: 0 });
    space.change(addr, 4, Prot::Read).unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { word(&space, addr + PAGE).read() }, 7);
    assert_eq!(space.stats(), VmStats { reserved: 0, committed: 4, direct: 0 });
}

#[test]
fn pools_use_ram_where_it_lies_and_can_be_unmapped_in_parts() {
    let mut space = space(64, 1 << 20);
    let before = free(&space);
    let pool = space.map(8 * PAGE, Prot::ReadWrite).unwrap();
    assert!(!space.window.contains(&pool) && space.tables.pages.is_empty());
    let bytes = core::ptr::with_exposed_provenance_mut::<u8>(pool);
    // SAFETY: mapped above.
    assert!(unsafe { (0..8 * PAGE).all(|i| bytes.add(i).read() == 0) });
    space.give_up(pool + PAGE, 2).unwrap();
    assert_eq!(space.give_up(pool, 2), Err(MapError::Invalid));
    assert_eq!(space.stats().direct, 6);
    space.give_up(pool, 1).unwrap();
    space.give_up(pool + 3 * PAGE, 5).unwrap();
    assert_eq!(free(&space), before);
}

#[test]
fn what_ram_where_it_lies_allows_can_change_until_it_is_given_back() {
    let mut space = space(64, 1 << 20);
    let code = space.map(4 * PAGE, Prot::ReadWrite).unwrap();
    assert!(!space.window.contains(&code));
    space.identity(code, 4);
    assert_eq!(space.change(code + PAGE, 2, Prot::ReadExecute), Ok(()));
    assert_eq!(space.prots(code, 4), [RW, Prot::ReadExecute, Prot::ReadExecute, RW]);
    assert_eq!(space.change(code, 2, Prot::None), Ok(()));
    assert_eq!(space.prots(code, 4), [Prot::None, Prot::None, Prot::ReadExecute, RW]);
    assert_eq!(space.change(code, 1, Prot::ReadWrite), Ok(()));
    space.give_up(code, 4).unwrap();
    assert_eq!(space.prots(code, 4), [RW; 4]);
}

#[test]
fn what_ram_where_it_lies_allowed_before_is_what_the_tables_say() {
    let mut space = space(64, 1 << 20);
    let text = space.map(4 * PAGE, Prot::ReadWrite).unwrap();
    space.identity(text, 3);
    for page in (text..text + 3 * PAGE).step_by(PAGE) {
        space.tables.protect(VirtPage(page), Prot::ReadExecute);
    }
    assert_eq!(space.change(text, 2, Prot::ReadWrite), Ok(()));
    assert_eq!(space.prots(text, 3), [RW, RW, Prot::ReadExecute]);
    // A guard page is refused, whatever is asked of it.
    for prot in [Prot::Read, Prot::ReadWrite] {
        assert_eq!(space.change(text + 3 * PAGE, 1, prot), Err(MapError::OutOfRange));
        assert_eq!(space.change(text + 2 * PAGE, 2, prot), Err(MapError::OutOfRange));
    }
}

#[test]
fn map_without_a_run_of_frames_uses_the_window() {
    let mut space = space(129, 1 << 20);
    let singles: vec::Vec<_> =
        (0..112).map(|_| space.map(PAGE, Prot::ReadWrite).unwrap()).collect();
    for pair in singles.chunks(2) {
        space.give_up(pair[0], 1).unwrap();
    }
    let addr = space.map(30 * PAGE, Prot::ReadWrite).unwrap();
    assert!(space.window.contains(&addr));
    assert_eq!(space.stats(), VmStats { reserved: 0, committed: 30, direct: 56 });
}

#[test]
fn addresses_that_were_not_given_out_are_refused() {
    let mut space = space(64, 100);
    assert_eq!(space.reserve(0), Err(MapError::Invalid));
    assert_eq!(space.reserve(101 * PAGE), Err(MapError::OutOfRange));
    assert_eq!(space.reserve(usize::MAX), Err(MapError::OutOfRange));
    assert_eq!(space.give_up(BASE + 1, 1), Err(MapError::Invalid));
    assert_eq!(space.give_up(0x1000, 1), Err(MapError::Invalid));
    assert_eq!(space.give_up(usize::MAX - PAGE + 1, 2), Err(MapError::Invalid));
    assert_eq!(space.give_up(BASE, 100), Ok(()));
    assert_eq!(space.change(BASE, 1, Prot::Read), Err(MapError::OutOfRange));
    assert_eq!(space.change(0x1000, 1, Prot::Read), Err(MapError::OutOfRange));
    assert_eq!(space.change(0x1000, 1, Prot::ReadWrite), Err(MapError::OutOfRange));
    assert_eq!(space.fixed(BASE + 100 * PAGE, 1, None), Err(MapError::OutOfRange));
    space.fixed(BASE, 2, None).unwrap();
    // SAFETY: refused.
    let result = unsafe { space.map_fixed(BASE + PAGE, 2 * PAGE, None, false) };
    assert_eq!(result, Err(MapError::Exists));
}

/// A page of the reference: unused, reserved, or committed with this access and this contents.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Page {
    Unused,
    Reserved,
    Committed(Prot, u64),
}

#[test]
fn agrees_with_a_list_of_pages() {
    const WINDOW: usize = 60;
    let mut space = space(64, WINDOW);
    space.tables.room = 30;
    let before = free(&space);
    let mut model = [Page::Unused; WINDOW];
    let mut rng = Rng::new(5);
    let prots = [Prot::None, Prot::Read, Prot::ReadWrite, Prot::ReadExecute];
    for round in 1..if cfg!(miri) { 100 } else { 20_000u64 } {
        let start = rng.below(WINDOW);
        let n = 1 + rng.below((WINDOW - start).min(12));
        let addr = BASE + start * PAGE;
        let prot = prots[rng.below(4)];
        let mut new = model;
        let part = &mut new[start..start + n];
        let fresh = part.iter().filter(|page| !matches!(page, Page::Committed(..))).count();
        let committed = model.iter().filter(|page| matches!(page, Page::Committed(..))).count();
        match rng.below(4) {
            0 => {
                part.fill(Page::Unused);
                assert_eq!(space.give_up(addr, n), Ok(()));
            }
            1 => {
                let prot = (prot != Prot::None).then_some(prot);
                let fits = prot.is_none() || committed + fresh <= 30;
                let result = space.fixed(addr, n, prot);
                assert_eq!(result.is_ok(), fits);
                for page in part {
                    *page = match (prot, *page) {
                        (Some(prot), _) if fits => Page::Committed(prot, 0),
                        (Some(_), Page::Unused) => Page::Unused,
                        _ => Page::Reserved,
                    };
                }
            }
            2 => {
                let covered = part.iter().all(|&page| page != Page::Unused);
                let fits = covered && (prot == Prot::None || committed + fresh <= 30);
                assert_eq!(space.change(addr, n, prot).is_ok(), fits);
                for page in part.iter_mut().filter(|_| fits) {
                    *page = match *page {
                        Page::Committed(_, contents) => Page::Committed(prot, contents),
                        page if prot == Prot::None => page,
                        _ => Page::Committed(prot, 0),
                    };
                }
            }
            _ => {
                let gap = model.windows(n).position(|w| w.iter().all(|&p| p == Page::Unused));
                let result = space.reserve(n * PAGE);
                assert_eq!(result.ok(), gap.map(|gap| BASE + gap * PAGE));
                if let Some(gap) = gap {
                    new[gap..gap + n].fill(Page::Reserved);
                }
            }
        }
        model = new;
        for (i, page) in model.iter_mut().enumerate() {
            let addr = BASE + i * PAGE;
            let entry = space.tables.pages.get(&addr);
            let Page::Committed(prot, contents) = page else {
                assert!(entry.is_none(), "page {i} is {page:?} but mapped");
                continue;
            };
            assert_eq!(entry.map(|entry| entry.1), Some(*prot));
            // SAFETY: the frame is this page's.
            unsafe {
                assert_eq!(word(&space, addr).read(), *contents);
                word(&space, addr).write(round);
            }
            *contents = round;
        }
        let count = |f: fn(&Page) -> bool| model.iter().filter(|page| f(page)).count();
        let stats = space.stats();
        assert_eq!(stats.reserved, count(|page| *page == Page::Reserved));
        assert_eq!(stats.committed, count(|page| matches!(page, Page::Committed(..))));
        assert_eq!(free(&space), before - stats.committed);
        let regions = space.regions.all();
        assert!(regions.windows(2).all(|pair| {
            pair[0].end < pair[1].start
                || pair[0].end == pair[1].start && pair[0].state != pair[1].state
        }));
    }
}
