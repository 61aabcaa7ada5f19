//! Wakers by deadline: a binary heap from which any entry can be removed.
//!
//! ```text
//!   order    a heap of deadlines: none is later than the two below it
//!     │ ▲
//!     ▼ │    each side knows where its other half is
//!   places   wakers, at indices that stay
//! ```
//!
//! Removing an entry needs no memory: tasks are often ended in order to free some. What a crowd leaves is given back.
//!
//! A `BTreeMap` would do the same, but add 8 KiB to every image.

use alloc::vec::Vec;
use core::task::Waker;

use crate::time::Instant;

/// Identifies an entry. Never valid for a second one: places are reused, numbers are not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    place: usize,
    number: u64,
}

/// Ordered by deadline; equal deadlines in order of arrival.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    deadline: Instant,
    number: u64,
    place: usize,
}

/// No place.
const NONE: usize = usize::MAX;

struct Place {
    /// Index of the entry in the heap; of a free place, the next free one, or [`NONE`].
    at: usize,
    /// None if the place is free.
    waker: Option<Waker>,
}

/// Entries in the order of their deadlines. Adding or removing one costs O(log n).
pub(crate) struct Deadlines {
    order: Vec<Entry>,
    places: Vec<Place>,
    /// The first free place, or [`NONE`].
    free: usize,
    next_number: u64,
    /// How many entries there were when places were last given back or added.
    most: usize,
}

impl Default for Deadlines {
    fn default() -> Self {
        Deadlines { order: Vec::new(), places: Vec::new(), free: NONE, next_number: 0, most: 0 }
    }
}

impl Deadlines {
    /// The earliest.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.order.first().map(|entry| entry.deadline)
    }

    pub(crate) fn insert(&mut self, deadline: Instant, waker: Waker) -> Key {
        let place = self.free;
        let place = match self.places.get_mut(place) {
            Some(free) => {
                self.free = free.at;
                free.waker = Some(waker);
                place
            }
            None => {
                self.places.push(Place { at: NONE, waker: Some(waker) });
                self.most = self.places.len();
                self.most - 1
            }
        };
        let number = self.next_number;
        self.next_number += 1;
        let entry = Entry { deadline, number, place };
        self.order.push(entry);
        self.settle(self.order.len() - 1, entry);
        Key { place, number }
    }

    /// The waker of an entry that is still there.
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Waker> {
        self.find(key)?;
        self.places[key.place].waker.as_mut()
    }

    /// Takes out an entry, if it is still there.
    pub(crate) fn remove(&mut self, key: Key) -> Option<Waker> {
        let at = self.find(key)?;
        Some(self.take(at))
    }

    /// Takes out the earliest, if its deadline is not later than `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Waker> {
        (self.first()? <= now).then(|| self.take(0))
    }

    fn find(&self, key: Key) -> Option<usize> {
        let at = self.places.get(key.place)?.at;
        // In a free place, `at` is not the index of its entry: there may be another entry there, or none.
        (self.order.get(at)?.number == key.number).then_some(at)
    }

    fn take(&mut self, at: usize) -> Waker {
        let Entry { place, .. } = self.order.swap_remove(at);
        if let Some(&moved) = self.order.get(at) {
            self.settle(at, moved);
        }
        self.places[place].at = core::mem::replace(&mut self.free, place);
        let waker = self.places[place].waker.take().expect("an entry has a waker");
        let left = self.order.len();
        // Only each time that half of the entries have gone, since the last place may be in use for long.
        if left <= self.most / 2 && self.places.len() > 4 * (left + 16) {
            self.most = left;
            self.give_back();
        }
        waker
    }

    /// Gives back the places behind the last that is in use, and what the heap has needed.
    fn give_back(&mut self) {
        let used = self.places.iter().rposition(|place| place.waker.is_some());
        self.places.truncate(used.map_or(0, |last| last + 1));
        self.free = NONE;
        for (at, place) in self.places.iter_mut().enumerate().filter(|(_, p)| p.waker.is_none()) {
            place.at = core::mem::replace(&mut self.free, at);
        }
        fit(&mut self.places);
        fit(&mut self.order);
    }

    /// Moves an entry to where it belongs, given that all others are in order, and that `at` is free for it.
    fn settle(&mut self, mut at: usize, entry: Entry) {
        while at > 0 && entry < self.order[(at - 1) / 2] {
            self.put(at, self.order[(at - 1) / 2]);
            at = (at - 1) / 2;
        }
        loop {
            let below = [2 * at + 1, 2 * at + 2];
            let Some(&left) = self.order.get(below[0]) else { break };
            let right = self.order.get(below[1]).copied().filter(|right| *right < left);
            let (next, earlier) = right.map_or((below[0], left), |right| (below[1], right));
            if entry < earlier {
                break;
            }
            self.put(at, earlier);
            at = next;
        }
        self.put(at, entry);
    }

    fn put(&mut self, at: usize, entry: Entry) {
        self.order[at] = entry;
        self.places[entry.place].at = at;
    }
}

/// Into less memory, if there is that much.
fn fit<T>(list: &mut Vec<T>) {
    let mut less = Vec::new();
    if less.try_reserve_exact(list.len()).is_ok() {
        less.append(list);
        *list = less;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::sync::Arc;
    use alloc::task::Wake;
    use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

    /// Says, when it is woken, which one it was.
    struct Told(u64, Arc<AtomicU64>);

    impl Wake for Told {
        fn wake(self: Arc<Self>) {
            self.1.store(self.0, Relaxed);
        }
    }

    #[test]
    fn free_places_are_used_again_before_there_are_new_ones() {
        let mut deadlines = Deadlines::default();
        let mut insert = |n| {
            let keys =
                (0..n).map(|i| deadlines.insert(Instant::from_nanos(i), Waker::noop().clone()));
            let keys: Vec<Key> = keys.collect();
            keys.iter().for_each(|&key| assert!(deadlines.remove(key).is_some()));
            (deadlines.places.len(), keys)
        };
        let (places, old) = insert(50);
        assert_eq!(places, 50);
        assert_eq!((insert(40).0, insert(50).0, insert(51).0), (50, 50, 51));
        assert!(old.iter().all(|&key| deadlines.remove(key).is_none()));
    }

    #[test]
    fn a_crowd_that_has_gone_leaves_little() {
        let mut deadlines = Deadlines::default();
        let mut insert = |n| deadlines.insert(Instant::from_nanos(n), Waker::noop().clone());
        let first = insert(0);
        let crowd: Vec<Key> = (0..5000).map(&mut insert).collect();
        let amid = insert(1);
        let rest: Vec<Key> = (0..5000).map(&mut insert).collect();
        let room = |d: &Deadlines| (d.order.capacity(), d.places.capacity());
        rest.iter().rev().for_each(|&key| assert!(deadlines.remove(key).is_some()));
        crowd.iter().for_each(|&key| assert!(deadlines.remove(key).is_some()));
        let (order, places) = room(&deadlines);
        assert!(order < 200 && places < 5200, "{order} and {places}");
        assert!(deadlines.get_mut(first).is_some() && deadlines.remove(amid).is_some());
        let (order, places) = room(&deadlines);
        assert!(order < 200 && places < 200, "{order} and {places}");
        assert!(rest.iter().chain(&crowd).all(|&key| deadlines.remove(key).is_none()));
        assert!(deadlines.remove(first).is_some());
    }

    #[test]
    fn entries_come_and_go_as_in_a_map() {
        let last = Arc::new(AtomicU64::new(0));
        let woken = |waker: Waker| {
            waker.wake();
            last.load(Relaxed)
        };
        let (mut deadlines, mut model) = (Deadlines::default(), BTreeMap::new());
        // All keys that ever were: old ones must find nothing.
        let mut keys: Vec<(Key, (u64, u64))> = Vec::new();
        let (mut random, mut most) = (1_u64, 0);
        let mut draw = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        for number in 1..20_000 {
            let at = Instant::from_nanos(draw(200));
            match draw(8) {
                // More come than go in the first half, and more go than come in the second.
                step if step < if number < 10_000 { 6 } else { 2 } => {
                    let waker = Waker::from(Arc::new(Told(number, Arc::clone(&last))));
                    keys.push((deadlines.insert(at, waker), (at.as_nanos(), number)));
                    model.insert((at.as_nanos(), number), number);
                }
                2 | 6 if !keys.is_empty() => {
                    let (key, expected) = keys[draw(keys.len() as u64) as usize];
                    assert_eq!(deadlines.get_mut(key).is_some(), model.contains_key(&expected));
                    assert_eq!(deadlines.remove(key).map(woken), model.remove(&expected));
                }
                _ => {
                    let due = model.first_entry().filter(|e| e.key().0 <= at.as_nanos());
                    let due = due.map(|entry| entry.remove());
                    assert_eq!(deadlines.pop_due(at).map(woken), due);
                }
            }
            let first = model.first_key_value().map(|((at, _), _)| Instant::from_nanos(*at));
            assert_eq!(deadlines.first(), first);
            assert_eq!(deadlines.order.len(), model.len());
            most = most.max(model.len());
        }
        let rest: Vec<u64> =
            core::iter::from_fn(|| deadlines.pop_due(Instant::NEVER).map(woken)).collect();
        assert!(rest.iter().eq(model.values()));
        assert!(most > 2_000 && rest.len() < most, "many came, and many of them went");
    }
}
