//! The README's example.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use mirust::time::{Duration, sleep};

/// Counts visitors by name.
pub struct Guests(RefCell<HashMap<String, isize>>);

#[mirust::export]
impl Guests {
    /// Nobody has come yet.
    fn new() -> Self {
        Guests(RefCell::default())
    }

    /// How often `name` has come, this time included, after a moment's thought.
    async fn welcome(self: Rc<Self>, name: String) -> isize {
        sleep(Duration::from_millis(10)).await;
        *self.0.borrow_mut().entry(name).and_modify(|n| *n += 1).or_insert(1)
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        println!("the guestbook is closed");
    }
}
