//! What is known privately about each request in flight.

use alloc::vec::Vec;

/// A table from request identifiers to the frontend's own record of the request.
///
/// The backend echoes an identifier; it may echo one that was never given, or one twice. Looking it
/// up here answers `None` then, whatever the shared page says.
#[derive(Debug)]
pub struct Shadow<T> {
    slots: Vec<Slot<T>>,
    free: Option<u16>,
    len: usize,
}

#[derive(Debug)]
enum Slot<T> {
    Used(T),
    /// The next free slot, if any.
    Free(Option<u16>),
}

impl<T> Shadow<T> {
    /// A table for up to `capacity` requests.
    pub fn new(capacity: u16) -> Self {
        let slots =
            (1..=capacity).map(|next| Slot::Free((next < capacity).then_some(next))).collect();
        Shadow { slots, free: (capacity > 0).then_some(0), len: 0 }
    }

    /// Requests in flight.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no request is in flight.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keeps `record` and returns its identifier; gives it back when the table is full.
    pub fn insert(&mut self, record: T) -> Result<u16, T> {
        let Some(id) = self.free else { return Err(record) };
        let slot = &mut self.slots[id as usize];
        let Slot::Free(next) = *slot else { unreachable!("the free list holds a used slot") };
        *slot = Slot::Used(record);
        self.free = next;
        self.len += 1;
        Ok(id)
    }

    /// The record of a request in flight.
    pub fn get(&self, id: u16) -> Option<&T> {
        match self.slots.get(id as usize) {
            Some(Slot::Used(record)) => Some(record),
            Some(Slot::Free(_)) | None => None,
        }
    }

    /// The record of a request in flight, to be changed.
    pub fn get_mut(&mut self, id: u16) -> Option<&mut T> {
        match self.slots.get_mut(id as usize) {
            Some(Slot::Used(record)) => Some(record),
            Some(Slot::Free(_)) | None => None,
        }
    }

    /// Ends the request `id`: `None` if it is not in flight.
    pub fn take(&mut self, id: u16) -> Option<T> {
        let slot = self.slots.get_mut(id as usize)?;
        if let Slot::Free(_) = slot {
            return None;
        }
        let Slot::Used(record) = core::mem::replace(slot, Slot::Free(self.free)) else {
            unreachable!("checked above");
        };
        self.free = Some(id);
        self.len -= 1;
        Some(record)
    }

    /// Ends every request, as after a disconnect.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + '_ {
        (0..self.slots.len() as u16).filter_map(|id| self.take(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_unique_and_come_back() {
        let mut shadow = Shadow::new(3);
        let ids: Vec<u16> = (0..3).map(|i| shadow.insert(i).unwrap()).collect();
        assert_eq!(ids, [0, 1, 2]);
        assert_eq!(shadow.insert(9), Err(9));
        assert_eq!(shadow.take(1), Some(1));
        assert_eq!(shadow.insert(7), Ok(1));
        assert_eq!(shadow.get(1), Some(&7));
        assert_eq!(shadow.len(), 3);
        assert_eq!(shadow.drain().collect::<Vec<_>>(), [0, 7, 2]);
        assert!(shadow.is_empty());
    }

    #[test]
    fn unknown_and_repeated_identifiers_are_refused() {
        let mut shadow = Shadow::new(2);
        let id = shadow.insert('a').unwrap();
        assert_eq!(shadow.take(id), Some('a'));
        assert_eq!(shadow.take(id), None);
        assert_eq!(shadow.take(1), None);
        assert_eq!(shadow.take(2), None);
        assert_eq!(shadow.take(u16::MAX), None);
        assert_eq!(shadow.insert('b'), Ok(0));
        assert_eq!(shadow.insert('c'), Ok(1));
    }

    #[test]
    fn empty_table_is_full() {
        assert_eq!(Shadow::new(0).insert(()), Err(()));
    }
}
