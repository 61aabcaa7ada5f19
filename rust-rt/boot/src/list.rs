//! A list in place: boot code runs before there is a heap.

use core::fmt;
use core::ops::{Deref, DerefMut};

/// Up to `N` values.
#[derive(Clone, Copy, Debug)]
pub struct List<T, const N: usize> {
    items: [T; N],
    len: usize,
}

/// No room for another value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the list is full")
    }
}

impl core::error::Error for Full {}

impl<T: Copy, const N: usize> List<T, N> {
    /// An empty list; `filler` stands in the unused places and is never seen.
    pub const fn new(filler: T) -> Self {
        List { items: [filler; N], len: 0 }
    }

    /// Appends a value.
    pub fn push(&mut self, value: T) -> Result<(), Full> {
        self.insert(self.len, value)
    }

    /// Inserts a value before index `at`, which is at most the length.
    pub fn insert(&mut self, at: usize, value: T) -> Result<(), Full> {
        if self.len == N {
            return Err(Full);
        }
        self.items.copy_within(at..self.len, at + 1);
        self.items[at] = value;
        self.len += 1;
        Ok(())
    }

    /// Takes out the value at index `at`, which is less than the length.
    pub fn remove(&mut self, at: usize) {
        self.items.copy_within(at + 1..self.len, at);
        self.len -= 1;
    }
}

impl<T, const N: usize> Deref for List<T, N> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.items[..self.len]
    }
}

impl<T, const N: usize> DerefMut for List<T, N> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.items[..self.len]
    }
}
