//! The Rust side of kv. OCaml owns the store, and calls it as plain functions.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// A store: values by keys, both of them any bytes, and no more of them than fit into its share of the
/// memory. Nothing here ends the domain when there is none left.
pub struct Store {
    values: RefCell<HashMap<Vec<u8>, Vec<u8>>>,
    /// Bytes of keys and values, with what it takes to hold them.
    held: Cell<usize>,
    limit: usize,
}

/// What an entry takes beside its bytes: two vectors, their blocks, and a place in the table while that
/// grows.
const OVERHEAD: usize = 160;

/// What is said when the store is full, as Redis does.
const FULL: &str = "OOM command not allowed when used memory > 'maxmemory'";

/// A copy, if there is memory for it.
fn copy(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| FULL.to_owned())?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

#[mirust::export]
impl Store {
    /// An empty one, for so many bytes.
    fn new(limit: isize) -> Store {
        let limit = limit.max(0) as usize;
        Store { values: RefCell::default(), held: Cell::new(0), limit }
    }

    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        self.values.borrow().get(key).map(|value| copy(value)).transpose()
    }

    /// How long the value of `key` is; -1 if there is none.
    fn size(&self, key: &[u8]) -> isize {
        self.values.borrow().get(key).map_or(-1, |value| value.len() as isize)
    }

    /// Makes `value` that of `key`.
    fn set(&self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let mut values = self.values.borrow_mut();
        let before = values.get(key).map(Vec::len);
        let entry = if before.is_some() { 0 } else { key.len() + OVERHEAD };
        let held = self.held.get() - before.unwrap_or(0) + value.len() + entry;
        if held > self.limit {
            return Err(FULL.to_owned());
        }
        let value = copy(value)?;
        match values.get_mut(key) {
            Some(slot) => *slot = value,
            None => {
                let key = copy(key)?;
                values.try_reserve(1).map_err(|_| FULL.to_owned())?;
                values.insert(key, value);
            }
        }
        self.held.set(held);
        Ok(())
    }

    /// Forgets `key`; whether it was there.
    fn delete(&self, key: &[u8]) -> bool {
        let removed = self.values.borrow_mut().remove(key);
        if let Some(value) = &removed {
            self.held.set(self.held.get() - value.len() - key.len() - OVERHEAD);
        }
        removed.is_some()
    }

    /// Adds to a number in decimal, which is 0 if it is not there, and gives the sum.
    fn increment(&self, key: &[u8], by: i64) -> Result<i64, String> {
        let old = match self.values.borrow().get(key) {
            None => Some(0),
            Some(value) => {
                std::str::from_utf8(value).ok().and_then(|text| text.parse::<i64>().ok())
            }
        };
        let sum = old.and_then(|old| old.checked_add(by));
        let sum = sum.ok_or("ERR value is not an integer or out of range")?;
        self.set(key, sum.to_string().as_bytes())?;
        Ok(sum)
    }

    /// How many keys there are.
    fn length(&self) -> isize {
        self.values.borrow().len() as isize
    }

    /// Forgets everything.
    fn clear(&self) {
        *self.values.borrow_mut() = HashMap::new();
        self.held.set(0);
    }
}
