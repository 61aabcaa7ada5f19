//! Who wants to know that the domain is about to be suspended, and that it goes on.
//!
//! A domain that is suspended is frozen, and goes on later: in a new domain on the same host or on another, or
//! where it was, if the toolstack has thought better of it. To the program it is one moment in which the wall
//! clock steps. The monotonic clock stands still meanwhile, and so do timers.
//!
//! ```text
//!   before:  programs, the last one first ─► devices ─► the domain is frozen
//!   after:   devices ─► programs, the first one first
//! ```
//!
//! Each part of *before* may refuse, which ends the attempt: *after* is then told that it was
//! [cancelled](Resumed::cancelled).

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;

use crate::time::Duration;

/// How a suspension has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resumed {
    /// How long the domain was away, by the wall clock: what the host's clock was moved meanwhile is in it. Zero
    /// for an attempt that was given up before the domain was frozen.
    pub away: Duration,
    /// The domain goes on where it was, with all that it had: the attempt was given up, or the toolstack has only
    /// taken a copy. Otherwise this is a new domain, perhaps on another host, and perhaps one of several that were
    /// made of one copy.
    pub cancelled: bool,
}

/// Who is told: see the head of this module for the order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    /// Code of the program's.
    Program,
    /// Something that the program stands on.
    Device,
}

/// What is done before: nothing, or a refusal with the reason.
pub type Before = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>>>>>;
/// What is done after.
pub type After = Box<dyn Fn(Resumed) -> Pin<Box<dyn Future<Output = ()>>>>;

/// Everybody who is told.
#[derive(Default)]
pub struct Hooks {
    before: RefCell<Vec<(Part, Rc<Before>)>>,
    after: RefCell<Vec<(Part, Rc<After>)>>,
}

impl Hooks {
    /// Has `hook` called before the domain is suspended.
    pub fn before(&self, part: Part, hook: Before) {
        self.before.borrow_mut().push((part, Rc::new(hook)));
    }

    /// Has `hook` called when the domain goes on, also if it was never frozen.
    pub fn after(&self, part: Part, hook: After) {
        self.after.borrow_mut().push((part, Rc::new(hook)));
    }

    /// Asks everybody, one after the other.
    ///
    /// # Errors
    ///
    /// The first refusal; nobody is asked after it.
    pub async fn ask(&self) -> Result<(), String> {
        for hook in in_order(&self.before, [Part::Program, Part::Device], true) {
            hook().await?;
        }
        Ok(())
    }

    /// Tells everybody, one after the other.
    pub async fn tell(&self, resumed: Resumed) {
        for hook in in_order(&self.after, [Part::Device, Part::Program], false) {
            hook(resumed).await;
        }
    }
}

/// The hooks as they are now. One of them may register another.
fn in_order<T>(
    hooks: &RefCell<Vec<(Part, Rc<T>)>>,
    parts: [Part; 2],
    last_first: bool,
) -> Vec<Rc<T>> {
    let hooks = hooks.borrow();
    let mut list = Vec::with_capacity(hooks.len());
    for part in parts {
        let from = list.len();
        list.extend(hooks.iter().filter(|(of, _)| *of == part).map(|(_, hook)| Rc::clone(hook)));
        if last_first {
            list[from..].reverse();
        }
    }
    list
}
