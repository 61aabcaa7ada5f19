//! Runs of pages that know their own length, so that their owner need not.

use super::tree::words;

/// Where blocks begin and end: two bits for each page.
///
/// A page that is in no block has no bit, and no page is in two blocks, so the last page of a
/// block is the next one with a `last` bit.
#[derive(Debug)]
pub struct Blocks<'a> {
    first: &'a mut [u64],
    last: &'a mut [u64],
}

impl<'a> Blocks<'a> {
    /// No blocks, over spans of 64 pages for each word of the two slices, which are equally long.
    pub fn new(first: &'a mut [u64], last: &'a mut [u64]) -> Self {
        assert_eq!(first.len(), last.len());
        first.fill(0);
        last.fill(0);
        Blocks { first, last }
    }

    /// How many pages there are.
    pub fn pages(&self) -> usize {
        self.first.len() * 64
    }

    /// Makes one block of `n` pages from `start` on.
    pub fn insert(&mut self, start: usize, n: usize) {
        words(start, 1).for_each(|(w, mask)| self.first[w] |= mask);
        words(start + n - 1, 1).for_each(|(w, mask)| self.last[w] |= mask);
    }

    /// Forgets the block of `n` pages from `start` on.
    pub fn remove(&mut self, start: usize, n: usize) {
        words(start, 1).for_each(|(w, mask)| self.first[w] &= !mask);
        words(start + n - 1, 1).for_each(|(w, mask)| self.last[w] &= !mask);
    }

    /// Pages of the block that begins at `start`; none if no block begins there.
    pub fn len(&self, start: usize) -> Option<usize> {
        let (w, bit) = words(start, 1).next()?;
        if self.first.get(w)? & bit == 0 {
            return None;
        }
        let rest = self.last[w] & !(bit - 1);
        let (w, word) = if rest != 0 {
            (w, rest)
        } else {
            let next = (w + 1..self.last.len()).find(|&w| self.last[w] != 0)?;
            (next, self.last[next])
        };
        Some(w * 64 + word.trailing_zeros() as usize - start + 1)
    }

    /// Makes each of `n` pages from `start` on a block of its own.
    pub fn insert_loose(&mut self, start: usize, n: usize) {
        words(start, n).for_each(|(w, mask)| {
            self.first[w] |= mask;
            self.last[w] |= mask;
        });
    }

    /// Forgets the `n` one-page blocks from `start` on.
    pub fn remove_loose(&mut self, start: usize, n: usize) {
        words(start, n).for_each(|(w, mask)| {
            self.first[w] &= !mask;
            self.last[w] &= !mask;
        });
    }

    /// Whether each of the `n` pages from `start` on exists and is a block of its own.
    pub fn all_loose(&self, start: usize, n: usize) -> bool {
        words(start, n)
            .all(|(w, mask)| w < self.first.len() && self.first[w] & self.last[w] & mask == mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_found_across_words() {
        let (mut first, mut last) = ([!0; 4], [!0; 4]);
        let mut blocks = Blocks::new(&mut first, &mut last);
        blocks.insert(3, 2);
        blocks.insert(5, 1);
        blocks.insert(62, 130);
        assert_eq!(blocks.len(3), Some(2));
        assert_eq!(blocks.len(4), None);
        assert_eq!(blocks.len(5), Some(1));
        assert_eq!(blocks.len(62), Some(130));
        assert_eq!(blocks.len(64), None);
        assert_eq!(blocks.len(100_000), None);
        blocks.remove(62, 130);
        assert_eq!(blocks.len(62), None);
        assert_eq!(blocks.len(3), Some(2));
    }

    #[test]
    fn loose_pages_can_be_removed_in_parts() {
        let (mut first, mut last) = ([0; 2], [0; 2]);
        let mut blocks = Blocks::new(&mut first, &mut last);
        blocks.insert_loose(60, 10);
        assert!(blocks.all_loose(60, 10));
        assert!(!blocks.all_loose(59, 2));
        blocks.remove_loose(62, 4);
        assert!(blocks.all_loose(60, 2) && blocks.all_loose(66, 4));
        assert!(!blocks.all_loose(61, 2));
        assert!(!blocks.all_loose(120, 20));
    }

    #[test]
    fn inside_of_a_block_is_not_loose() {
        let (mut first, mut last) = ([0; 1], [0; 1]);
        let mut blocks = Blocks::new(&mut first, &mut last);
        blocks.insert(0, 2);
        assert!(!blocks.all_loose(0, 1));
        assert!(!blocks.all_loose(1, 1));
    }
}
