//! Which parts of the window of addresses are in use, and how.

use alloc::vec::Vec;
use core::ops::Range;

use crate::page::OutOfMemory;
use crate::paging::Prot;

/// How a region is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Addresses only: no page of it is mapped.
    Reserved,
    /// Each page of it is mapped to a frame and allows this.
    Committed(Prot),
}

/// A range of addresses that is used in one way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    pub start: usize,
    pub end: usize,
    pub state: State,
}

/// Regions in the order of their addresses. They do not overlap, and neighbours that touch differ
/// in their state. What lies between them is unused.
#[derive(Debug)]
pub struct Regions(Vec<Region>);

impl Regions {
    pub const fn new() -> Self {
        Regions(Vec::new())
    }

    /// Makes room for one [`set`](Self::set), which then needs no memory.
    pub fn prepare(&mut self) -> Result<(), OutOfMemory> {
        self.0.try_reserve(2).map_err(|_| OutOfMemory)
    }

    /// The first region that overlaps `range`, cut to it.
    pub fn first_in(&self, range: &Range<usize>) -> Option<Region> {
        let i = self.0.partition_point(|region| region.end <= range.start);
        let &Region { start, end, state } = self.0.get(i)?;
        let (start, end) = (start.max(range.start), end.min(range.end));
        (start < end).then_some(Region { start, end, state })
    }

    /// Whether no part of `range` is unused.
    pub fn covers(&self, range: &Range<usize>) -> bool {
        let mut at = range.start;
        while at < range.end {
            match self.first_in(&(at..range.end)) {
                Some(region) if region.start == at => at = region.end,
                _ => return false,
            }
        }
        true
    }

    /// The lowest address in `window` from which `len` bytes are unused.
    pub fn gap(&self, window: &Range<usize>, len: usize) -> Option<usize> {
        let mut at = window.start;
        for region in &self.0 {
            if region.start - at >= len {
                return Some(at);
            }
            at = region.end;
        }
        (window.end - at >= len).then_some(at)
    }

    /// Makes all of `range`, which is not empty, one region of this state, or unused. Regions at
    /// its edges are cut or joined. There must be room: see [`prepare`](Self::prepare).
    pub fn set(&mut self, range: Range<usize>, state: Option<State>) {
        // Regions that overlap or touch make way for what is left of the outer two, and the new
        // one between them.
        let from = self.0.partition_point(|region| region.end < range.start);
        let to = self.0.partition_point(|region| region.start <= range.end);
        let old = &self.0[from..to];
        let left = old.first().filter(|region| region.start < range.start);
        let right = old.last().filter(|region| region.end > range.end);
        let pieces = [
            left.map(|&region| Region { end: range.start, ..region }),
            state.map(|state| Region { start: range.start, end: range.end, state }),
            right.map(|&region| Region { start: range.end, ..region }),
        ];
        let mut new = [Region { start: 0, end: 0, state: State::Reserved }; 3];
        let mut n = 0;
        for piece in pieces.into_iter().flatten() {
            match new[..n].last_mut() {
                Some(last) if last.end == piece.start && last.state == piece.state => {
                    last.end = piece.end;
                }
                _ => {
                    new[n] = piece;
                    n += 1;
                }
            }
        }
        self.0.splice(from..to, new.into_iter().take(n));
    }

    /// All regions.
    pub fn all(&self) -> &[Region] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use State::{Committed, Reserved};

    const RW: State = Committed(Prot::ReadWrite);

    fn regions(list: &[(usize, usize, State)]) -> Regions {
        let mut regions = Regions::new();
        for &(start, end, state) in list {
            regions.prepare().unwrap();
            regions.set(start..end, Some(state));
        }
        regions
    }

    fn list(regions: &Regions) -> Vec<(usize, usize, State)> {
        regions.all().iter().map(|region| (region.start, region.end, region.state)).collect()
    }

    #[test]
    fn equal_neighbours_join_and_others_do_not() {
        let joined = regions(&[(0, 2, RW), (4, 6, RW), (2, 4, RW), (6, 8, Reserved)]);
        assert_eq!(list(&joined), [(0, 6, RW), (6, 8, Reserved)]);
    }

    #[test]
    fn middle_of_a_region_is_cut_out() {
        let mut cut = regions(&[(0, 10, Reserved), (3, 5, RW)]);
        assert_eq!(list(&cut), [(0, 3, Reserved), (3, 5, RW), (5, 10, Reserved)]);
        cut.prepare().unwrap();
        cut.set(4..6, None);
        assert_eq!(list(&cut), [(0, 3, Reserved), (3, 4, RW), (6, 10, Reserved)]);
        cut.set(0..10, Some(RW));
        assert_eq!(list(&cut), [(0, 10, RW)]);
    }

    #[test]
    fn gaps_and_cover_are_found() {
        let regions = regions(&[(2, 4, RW), (4, 6, Reserved), (9, 10, RW)]);
        assert_eq!(regions.gap(&(0..20), 2), Some(0));
        assert_eq!(regions.gap(&(0..20), 3), Some(6));
        assert_eq!(regions.gap(&(0..20), 10), Some(10));
        assert_eq!(regions.gap(&(0..20), 11), None);
        assert!(regions.covers(&(3..6)));
        assert!(!regions.covers(&(3..7)) && !regions.covers(&(0..3)));
        let first = regions.first_in(&(5..20)).unwrap();
        assert_eq!((first.start, first.end), (5, 6));
        assert_eq!(regions.first_in(&(6..9)), None);
    }
}
