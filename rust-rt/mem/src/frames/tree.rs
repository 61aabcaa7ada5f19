//! A bitmap of free pages under a tree that knows the longest free run of every span.
//!
//! The bitmap has a bit for each page, 64 to a word; a word is a leaf of a complete binary tree.
//! Every inner node covers the pages of its two children and keeps three lengths: the free run at
//! its start, the one at its end, and the longest anywhere in it. Joining two nodes needs nothing
//! else, so one descent finds the lowest run of `n` pages, and changing pages refreshes only the
//! nodes above them. This costs about 20 bytes for 64 pages.

/// Pages that one leaf covers.
const LEAF: usize = u64::BITS as usize;

/// Lengths of the free runs of a span, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Runs {
    /// The run that starts at the first page.
    prefix: u32,
    /// The run that ends at the last page.
    suffix: u32,
    /// The longest run.
    longest: u32,
}

impl Runs {
    /// The runs of `n` pages that are all free.
    fn all(n: usize) -> Runs {
        Runs { prefix: n as u32, suffix: n as u32, longest: n as u32 }
    }

    /// The runs of one leaf.
    fn of_word(word: u64) -> Runs {
        Runs {
            prefix: word.trailing_ones(),
            suffix: word.leading_ones(),
            longest: word_runs(word).map(|(_, len)| len).max().unwrap_or(0),
        }
    }

    /// The runs of two neighbours of `half` pages each.
    fn join(left: Runs, right: Runs, half: usize) -> Runs {
        let half = half as u32;
        let across = left.suffix + right.prefix;
        Runs {
            prefix: if left.prefix == half { half + right.prefix } else { left.prefix },
            suffix: if right.suffix == half { half + left.suffix } else { right.suffix },
            longest: left.longest.max(right.longest).max(across),
        }
    }
}

/// The runs of set bits in `word`, lowest first, as `(first bit, length)`.
fn word_runs(mut word: u64) -> impl Iterator<Item = (u32, u32)> {
    core::iter::from_fn(move || {
        if word == 0 {
            return None;
        }
        let start = word.trailing_zeros();
        let len = (word >> start).trailing_ones();
        word &= !mask(start as usize, len as usize);
        Some((start, len))
    })
}

/// `len` set bits (at least one) from bit `start` on.
fn mask(start: usize, len: usize) -> u64 {
    (u64::MAX >> (LEAF - len)) << start
}

/// The words that `n` pages from `start` on touch, each with the mask of the pages in it.
pub fn words(start: usize, n: usize) -> impl Iterator<Item = (usize, u64)> {
    let end = start + n;
    let mut at = start;
    core::iter::from_fn(move || {
        if at == end {
            return None;
        }
        let (word, bit) = (at / LEAF, at % LEAF);
        let len = (LEAF - bit).min(end - at);
        at += len;
        Some((word, mask(bit, len)))
    })
}

/// Which pages of a span are free.
#[derive(Debug)]
pub struct RunTree<'a> {
    /// One bit for each page, set when it is free.
    bits: &'a mut [u64],
    /// The inner nodes: the children of node `i` are `2 i` and `2 i + 1`, the root is node 1, and
    /// the numbers from `nodes.len()` on are the leaves. Node 0 is unused.
    nodes: &'a mut [Runs],
}

impl<'a> RunTree<'a> {
    /// How many words of bits and how many nodes a tree over `pages` pages needs.
    pub fn needs(pages: usize) -> (usize, usize) {
        let words = pages.div_ceil(LEAF).max(1);
        (words, words.next_power_of_two())
    }

    /// A tree in which no page is free. The slices have the lengths that [`needs`](Self::needs)
    /// gave; what is in them does not matter.
    pub fn new(bits: &'a mut [u64], nodes: &'a mut [Runs]) -> Self {
        assert_eq!(nodes.len(), bits.len().next_power_of_two());
        assert!(nodes.len() * LEAF <= u32::MAX as usize, "more pages than a node can count");
        bits.fill(0);
        nodes.fill(Runs::default());
        RunTree { bits, nodes }
    }

    /// The runs under node `i`, which may be a leaf.
    fn runs(&self, i: usize) -> Runs {
        match i.checked_sub(self.nodes.len()) {
            None => self.nodes[i],
            Some(leaf) => Runs::of_word(self.bits.get(leaf).copied().unwrap_or(0)),
        }
    }

    /// Pages in the longest free run.
    pub fn longest(&self) -> usize {
        self.runs(1).longest as usize
    }

    /// The first page of the lowest free run that is at least `n` (> 0) pages long.
    pub fn find(&self, n: usize) -> Option<usize> {
        if n > self.longest() {
            return None;
        }
        let (mut node, mut start, mut half) = (1, 0, self.nodes.len() * LEAF / 2);
        while node < self.nodes.len() {
            let (left, right) = (self.runs(2 * node), self.runs(2 * node + 1));
            if left.longest as usize >= n {
                node *= 2;
            } else if (left.suffix + right.prefix) as usize >= n {
                return Some(start + half - left.suffix as usize);
            } else {
                node = 2 * node + 1;
                start += half;
            }
            half /= 2;
        }
        let word = self.bits[node - self.nodes.len()];
        word_runs(word).find(|&(_, len)| len as usize >= n).map(|(bit, _)| start + bit as usize)
    }

    /// Whether all of the `n` pages from `start` on exist and are free.
    pub fn all_free(&self, start: usize, n: usize) -> bool {
        words(start, n).all(|(w, mask)| self.bits.get(w).is_some_and(|bits| bits & mask == mask))
    }

    /// Whether all of the `n` pages from `start` on exist and are in use.
    pub fn all_used(&self, start: usize, n: usize) -> bool {
        words(start, n).all(|(w, mask)| self.bits.get(w).is_some_and(|bits| bits & mask == 0))
    }

    /// Makes `n` (> 0) pages free. They exist and are in use.
    pub fn give(&mut self, start: usize, n: usize) {
        debug_assert!(self.all_used(start, n));
        words(start, n).for_each(|(w, mask)| self.bits[w] |= mask);
        self.refresh(start, n, true);
    }

    /// Puts `n` (> 0) pages to use. They exist and are free.
    pub fn take(&mut self, start: usize, n: usize) {
        debug_assert!(self.all_free(start, n));
        words(start, n).for_each(|(w, mask)| self.bits[w] &= !mask);
        self.refresh(start, n, false);
    }

    /// Recomputes the nodes above `n` pages that all became free, or all became used.
    fn refresh(&mut self, start: usize, n: usize, free: bool) {
        let mut low = self.nodes.len() + start / LEAF;
        let mut high = self.nodes.len() + (start + n - 1) / LEAF;
        let mut half = LEAF;
        while low > 1 {
            (low, high) = (low / 2, high / 2);
            if low + 1 < high {
                // All pages under the nodes between are among the `n`. At boot these are all of RAM.
                let runs = if free { Runs::all(2 * half) } else { Runs::default() };
                self.nodes[low + 1..high].fill(runs);
            }
            for node in [low, high] {
                let (left, right) = (self.runs(2 * node), self.runs(2 * node + 1));
                self.nodes[node] = Runs::join(left, right, half);
            }
            half *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Rng;
    use alloc::{vec, vec::Vec};

    /// The same span as a list of booleans.
    struct Model(Vec<bool>);

    impl Model {
        fn find(&self, n: usize) -> Option<usize> {
            self.0.windows(n).position(|run| run.iter().all(|&free| free))
        }

        fn longest(&self) -> usize {
            self.0.split(|&free| !free).map(<[bool]>::len).max().unwrap_or(0)
        }

        fn set(&mut self, start: usize, n: usize, free: bool) {
            self.0[start..start + n].fill(free);
        }
    }

    fn with_tree(pages: usize, f: impl FnOnce(&mut RunTree)) {
        let (words, nodes) = RunTree::needs(pages);
        let mut bits = vec![!0; words];
        let mut nodes = vec![Runs { prefix: 9, suffix: 9, longest: 9 }; nodes];
        f(&mut RunTree::new(&mut bits, &mut nodes));
    }

    #[test]
    fn new_tree_has_no_free_page() {
        with_tree(1000, |tree| {
            assert_eq!(tree.longest(), 0);
            assert_eq!(tree.find(1), None);
        });
    }

    #[test]
    fn run_across_leaves_is_found() {
        with_tree(256, |tree| {
            tree.give(60, 8);
            assert_eq!(tree.find(8), Some(60));
            assert_eq!(tree.find(9), None);
            tree.take(63, 1);
            assert_eq!(tree.find(4), Some(64));
            assert_eq!(tree.find(3), Some(60));
        });
    }

    #[test]
    fn single_leaf_tree_works() {
        with_tree(5, |tree| {
            tree.give(0, 5);
            assert_eq!((tree.find(5), tree.find(6)), (Some(0), None));
            tree.take(1, 1);
            assert_eq!(tree.find(2), Some(2));
        });
    }

    #[test]
    fn pages_beyond_the_end_are_neither_free_nor_used() {
        with_tree(64, |tree| {
            tree.give(0, 64);
            assert!(!tree.all_free(63, 2));
            tree.take(0, 64);
            assert!(!tree.all_used(63, 2));
        });
    }

    #[test]
    fn agrees_with_a_list_of_booleans() {
        let rounds = if cfg!(miri) { 60 } else { 3000 };
        for (seed, pages) in [(1, 64), (2, 70), (3, 640), (4, 1021), (5, 1500)] {
            let mut rng = Rng::new(seed);
            let mut model = Model(vec![false; pages]);
            with_tree(pages, |tree| {
                tree.give(0, pages);
                model.set(0, pages, true);
                for _ in 0..rounds {
                    let most = if rng.below(8) == 0 { pages } else { 12 };
                    let n = 1 + rng.below(most).min(pages - 1);
                    if rng.below(2) == 0 {
                        let found = tree.find(n);
                        assert_eq!(found, model.find(n));
                        if let Some(start) = found {
                            tree.take(start, n);
                            model.set(start, n, false);
                        }
                    } else {
                        let start = rng.below(pages - n + 1);
                        let run = &model.0[start..start + n];
                        assert_eq!(tree.all_used(start, n), run.iter().all(|&free| !free));
                        assert_eq!(tree.all_free(start, n), run.iter().all(|&free| free));
                        if tree.all_used(start, n) {
                            tree.give(start, n);
                            model.set(start, n, true);
                        }
                    }
                    assert_eq!(tree.longest(), model.longest());
                }
            });
        }
    }
}
