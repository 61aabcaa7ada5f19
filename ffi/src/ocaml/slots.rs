//! A table with integers as keys, which the other language may keep.

use crate::token::MIRUST_TOKEN_INDEX_BITS;

/// Bits of a token that name the slot; the rest are the slot's generation.
const INDEX_BITS: u32 = MIRUST_TOKEN_INDEX_BITS as u32;
const INDEX_MASK: isize = (1 << INDEX_BITS) - 1;
const GENERATION_MASK: isize = (1 << (62 - INDEX_BITS)) - 1;

/// Entries by token. A token is the slot's index and how often the slot was used before, so that one
/// that comes back late finds nothing, instead of what has the slot by then.
pub(crate) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

struct Slot<T> {
    generation: isize,
    entry: Option<T>,
}

impl<T> Slots<T> {
    pub(crate) const fn new() -> Self {
        Slots { slots: Vec::new(), free: Vec::new() }
    }

    /// Takes the entry in, and gives its token.
    #[inline]
    pub(crate) fn insert(&mut self, entry: T) -> isize {
        self.insert_with(|_| entry)
    }

    /// Takes in the entry that `make` makes for its token, and gives the token.
    #[inline]
    pub(crate) fn insert_with(&mut self, make: impl FnOnce(isize) -> T) -> isize {
        let index = self.free.pop().unwrap_or_else(|| {
            assert!(self.slots.len() <= INDEX_MASK as usize, "too many requests in flight");
            self.slots.push(Slot { generation: 0, entry: None });
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        let token = slot.generation << INDEX_BITS | index as isize;
        slot.entry = Some(make(token));
        token
    }

    #[inline]
    fn slot(&mut self, token: isize) -> Option<&mut Slot<T>> {
        let slot = self.slots.get_mut((token & INDEX_MASK) as usize)?;
        (token >= 0 && slot.generation == token >> INDEX_BITS).then_some(slot)
    }

    /// The entry, if the token still names one.
    #[inline]
    pub(crate) fn get_mut(&mut self, token: isize) -> Option<&mut T> {
        self.slot(token)?.entry.as_mut()
    }

    /// Takes the entry out. The token names nothing from now on.
    #[inline]
    pub(crate) fn remove(&mut self, token: isize) -> Option<T> {
        let slot = self.slot(token)?;
        let entry = slot.entry.take()?;
        slot.generation = (slot.generation + 1) & GENERATION_MASK;
        self.free.push((token & INDEX_MASK) as u32);
        Some(entry)
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{GENERATION_MASK, INDEX_BITS, Slots};

    #[test]
    fn a_token_names_its_entry_until_it_is_taken() {
        let mut slots = Slots::new();
        let (a, b) = (slots.insert("a"), slots.insert("b"));
        assert_eq!(slots.get_mut(a), Some(&mut "a"));
        assert_eq!(slots.remove(a), Some("a"));
        assert_eq!(slots.remove(a), None);
        assert_eq!(slots.get_mut(b), Some(&mut "b"));
        assert_eq!(slots.len(), 1);
    }

    #[test]
    fn a_slot_is_used_again_under_another_token() {
        let mut slots = Slots::new();
        let first = slots.insert(1);
        slots.remove(first);
        let second = slots.insert(2);
        assert_ne!(first, second);
        assert_eq!(slots.slots.len(), 1);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(second), Some(2));
    }

    #[test]
    fn nonsense_names_nothing() {
        let mut slots = Slots::new();
        let token = slots.insert(());
        for nonsense in [-1, isize::MAX, isize::MIN, token + 1, token | 1 << INDEX_BITS] {
            assert_eq!(slots.get_mut(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn generations_start_again_within_an_ocaml_int() {
        let mut slots = Slots::new();
        let token = slots.insert(());
        slots.remove(token);
        slots.slots[0].generation = GENERATION_MASK;
        let last = slots.insert(());
        assert!(last >= 0 && last << 1 >> 1 == last);
        slots.remove(last);
        assert_eq!(slots.insert(()), token);
    }
}
