//! The Rust side of kv: the store.

use std::cell::RefCell;
use std::collections::HashMap;

thread_local! {
    static STORE: RefCell<HashMap<Vec<u8>, Vec<u8>>> = RefCell::default();
}

fn store<R>(f: impl FnOnce(&mut HashMap<Vec<u8>, Vec<u8>>) -> R) -> R {
    STORE.with_borrow_mut(f)
}

/// `external get : string -> string option = "kv_get"`
#[mirust::export]
fn kv_get(key: &[u8]) -> Option<Vec<u8>> {
    store(|s| s.get(key).cloned())
}

/// `external set : string -> string -> unit = "kv_set"`
#[mirust::export]
fn kv_set(key: &[u8], value: Vec<u8>) {
    store(|s| match s.get_mut(key) {
        Some(slot) => *slot = value,
        None => {
            s.insert(key.to_vec(), value);
        }
    });
}

/// `external delete : string -> bool = "kv_delete"`: whether it was there.
#[mirust::export]
fn kv_delete(key: &[u8]) -> bool {
    store(|s| s.remove(key).is_some())
}

/// `external increment : string -> (int64 [@unboxed]) -> (int64, string) result = …`: adds to a number
/// in decimal, which is 0 if it is not there.
#[mirust::export]
fn kv_increment(key: &[u8], by: i64) -> Result<i64, String> {
    let old = store(|s| s.get(key).cloned()).unwrap_or_else(|| b"0".to_vec());
    let old = std::str::from_utf8(&old).ok().and_then(|text| text.parse::<i64>().ok());
    let sum = old.and_then(|old| old.checked_add(by));
    let sum = sum.ok_or("value is not an integer or out of range")?;
    store(|s| s.insert(key.to_vec(), sum.to_string().into_bytes()));
    Ok(sum)
}

/// `external length : unit -> (int [@untagged]) = …`
#[mirust::export]
fn kv_length(_: ()) -> isize {
    store(|s| s.len()) as isize
}

/// `external clear : unit -> unit = "kv_clear"`
#[mirust::export]
fn kv_clear(_: ()) {
    store(HashMap::clear);
}
