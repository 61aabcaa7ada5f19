//! Hooks for when the domain's memory has become larger or smaller.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

/// What has come of a change of the memory's size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resized {
    /// Bytes of memory that the runtime manages now.
    pub bytes: usize,
    /// Bytes that ought to be given back, too, and are in use. What is let go of is given back soon.
    pub short: usize,
}

type Listener = Rc<dyn Fn(Resized)>;

/// The functions to call when the memory's size changes.
#[derive(Default)]
pub struct Listeners(RefCell<Vec<Listener>>);

impl Listeners {
    /// Has `listener` called after each change, and when memory cannot be given back that ought to be.
    pub fn add(&self, listener: impl Fn(Resized) + 'static) {
        self.0.borrow_mut().push(Rc::new(listener));
    }

    /// Tells everybody, the first one first. One of them may add another.
    pub fn tell(&self, resized: Resized) {
        let mut at = 0;
        while let Some(listener) = self.listener(at) {
            listener(resized);
            at += 1;
        }
    }

    fn listener(&self, at: usize) -> Option<Listener> {
        self.0.borrow().get(at).cloned()
    }
}
