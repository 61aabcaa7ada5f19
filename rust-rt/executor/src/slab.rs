//! Where tasks live between their polls.

use alloc::vec::Vec;

/// Identifies a task. An id is never valid for a second task: the place is reused, but not the generation (unless it
/// wraps around, which takes 2³² tasks in one place).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TaskId {
    index: u32,
    generation: u32,
}

/// Places with generations.
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

struct Place<T> {
    generation: u32,
    /// Empty when the place is free, and while the task is out to be polled.
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Slab { places: Vec::new(), free: Vec::new() }
    }

    /// Occupied places, those whose value is out included.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Occupies a place; `make` gets its name.
    pub(crate) fn insert(&mut self, make: impl FnOnce(TaskId) -> T) -> TaskId {
        let index = self.free.pop().unwrap_or_else(|| {
            // First, so that no task needs memory to end: tasks are often ended in order to free some.
            self.free.reserve(self.places.len() + 1);
            self.places.push(Place { generation: 0, value: None });
            u32::try_from(self.places.len() - 1).expect("fewer than 2^32 tasks")
        });
        let place = &mut self.places[index as usize];
        let id = TaskId { index, generation: place.generation };
        place.value = Some(make(id));
        id
    }

    /// Takes the value out; the place stays occupied. `None` if the task is gone or already out.
    pub(crate) fn take(&mut self, id: TaskId) -> Option<T> {
        self.place(id)?.value.take()
    }

    /// Brings back what [`take`](Self::take) took.
    pub(crate) fn put_back(&mut self, id: TaskId, value: T) {
        let place = self.place(id).expect("the place of a value that is out stays occupied");
        debug_assert!(place.value.is_none());
        place.value = Some(value);
    }

    /// Frees the place of a value that is out.
    pub(crate) fn free(&mut self, id: TaskId) {
        let place = self.place(id).expect("the place of a value that is out stays occupied");
        debug_assert!(place.value.is_none());
        place.generation = place.generation.wrapping_add(1);
        self.free.push(id.index);
    }

    fn place(&mut self, id: TaskId) -> Option<&mut Place<T>> {
        self.places.get_mut(id.index as usize).filter(|p| p.generation == id.generation)
    }
}
