//! The Rust side of kv. OCaml owns the store, and calls it as plain functions.

use std::cell::RefCell;
use std::collections::HashMap;

/// A store: values by keys, both of them any bytes.
pub struct Store(RefCell<HashMap<Vec<u8>, Vec<u8>>>);

#[mirust::export]
impl Store {
    /// An empty one.
    fn new() -> Store {
        Store(RefCell::default())
    }

    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.borrow().get(key).cloned()
    }

    /// Makes `value` that of `key`.
    fn set(&self, key: &[u8], value: Vec<u8>) {
        let mut store = self.0.borrow_mut();
        match store.get_mut(key) {
            Some(slot) => *slot = value,
            None => {
                store.insert(key.to_vec(), value);
            }
        }
    }

    /// Forgets `key`; whether it was there.
    fn delete(&self, key: &[u8]) -> bool {
        self.0.borrow_mut().remove(key).is_some()
    }

    /// Adds to a number in decimal, which is 0 if it is not there, and gives the sum.
    fn increment(&self, key: &[u8], by: i64) -> Result<i64, String> {
        let old = self.get(key).unwrap_or_else(|| b"0".to_vec());
        let old = std::str::from_utf8(&old).ok().and_then(|text| text.parse::<i64>().ok());
        let sum = old.and_then(|old| old.checked_add(by));
        let sum = sum.ok_or("value is not an integer or out of range")?;
        self.set(key, sum.to_string().into_bytes());
        Ok(sum)
    }

    /// How many keys there are.
    fn length(&self) -> isize {
        self.0.borrow().len() as isize
    }

    /// Forgets everything.
    fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}
