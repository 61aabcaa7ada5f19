//! Values by number, in order of arrival.
//!
//! There are few requests in flight and few watches, so that searching a list is as quick as a tree, whose code would
//! be in every image, once for each type.

use alloc::vec::Vec;

/// Values by number.
pub(super) struct Numbered<V>(Vec<(u32, V)>);

impl<V> Numbered<V> {
    /// Nothing.
    pub(super) const fn new() -> Self {
        Numbered(Vec::new())
    }

    fn place(&self, number: u32) -> Option<usize> {
        self.0.iter().position(|entry| entry.0 == number)
    }

    /// Adds a value under a number that nothing has.
    pub(super) fn add(&mut self, number: u32, value: V) {
        debug_assert!(self.place(number).is_none(), "{number} is taken");
        self.0.push((number, value));
    }

    /// Takes the value out.
    pub(super) fn remove(&mut self, number: u32) -> Option<V> {
        let place = self.place(number)?;
        Some(self.0.remove(place).1)
    }

    /// The value of a number.
    pub(super) fn get(&self, number: u32) -> Option<&V> {
        self.0.iter().find(|entry| entry.0 == number).map(|entry| &entry.1)
    }

    /// As [`get`](Self::get), to be changed.
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut V> {
        self.0.iter_mut().find(|entry| entry.0 == number).map(|entry| &mut entry.1)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &V)> {
        self.0.iter().map(|(number, value)| (*number, value))
    }

    /// All values, to be changed.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|entry| &mut entry.1)
    }

    /// Drops what does not fit.
    pub(super) fn retain(&mut self, fits: impl Fn(&V) -> bool) {
        self.0.retain(|entry| fits(&entry.1));
    }

    /// Takes out what fits.
    pub(super) fn take_all(&mut self, fits: impl Fn(&V) -> bool) -> Vec<V> {
        let (taken, kept) =
            core::mem::take(&mut self.0).into_iter().partition(|entry| fits(&entry.1));
        self.0 = kept;
        let taken: Vec<(u32, V)> = taken;
        taken.into_iter().map(|entry| entry.1).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_number_and_keep_their_order() {
        let mut map = Numbered::new();
        for (number, value) in [(7, 'a'), (u32::MAX, 'b'), (0, 'c'), (3, 'd')] {
            map.add(number, value);
        }
        assert_eq!((map.get(0), map.get(1)), (Some(&'c'), None));
        *map.get_mut(7).unwrap() = 'e';
        assert_eq!((map.remove(u32::MAX), map.remove(u32::MAX)), (Some('b'), None));
        assert!(map.iter().eq([(7, &'e'), (0, &'c'), (3, &'d')]));
        assert_eq!(map.take_all(|value| *value != 'c'), ['e', 'd']);
        map.retain(|value| *value != 'c');
        assert_eq!(map.values_mut().count(), 0);
    }
}
