//! Hooks for before the domain is suspended, and after it resumes.
//!
//! A suspended domain is frozen, and resumes later: as a new domain on the same or another host, or in place, if the
//! toolstack changes its mind. To the program, only the wall clock jumps; the monotonic clock and timers stand
//! still in the meantime.
//!
//! ```text
//!   before:  programs, the last one first ─► devices ─► the domain is frozen
//!   after:   devices ─► programs, the first one first
//! ```
//!
//! Each hook of *before* may refuse, which ends the attempt; the hooks of *after* are then told that it was
//! [cancelled](Resumed::cancelled).

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;

use crate::time::Duration;

/// How a suspension ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resumed {
    /// How long the domain was away, by the wall clock, including any adjustment of the host's clock. Zero for an
    /// attempt that was abandoned before the domain was frozen.
    pub away: Duration,
    /// The domain simply continues: the attempt was abandoned, or the toolstack has only taken a copy. Otherwise this
    /// is a new domain, perhaps on another host, and perhaps one of several made from the same copy.
    pub cancelled: bool,
}

/// Whose hook it is: see the module's documentation for the order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    /// The program's own code.
    Program,
    /// Something that the program is built on.
    Device,
}

/// A hook of *before*: returns nothing, or the reason for its refusal.
pub type Before = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>>>>>;
/// A hook of *after*.
pub type After = Box<dyn Fn(Resumed) -> Pin<Box<dyn Future<Output = ()>>>>;

/// All hooks.
#[derive(Default)]
pub struct Hooks {
    before: RefCell<Vec<(Part, Rc<Before>)>>,
    after: RefCell<Vec<(Part, Rc<After>)>>,
}

impl Hooks {
    /// Registers a hook that is called before the domain is suspended.
    pub fn before(&self, part: Part, hook: Before) {
        self.before.borrow_mut().push((part, Rc::new(hook)));
    }

    /// Registers a hook that is called when the domain resumes, also if it was never frozen.
    pub fn after(&self, part: Part, hook: After) {
        self.after.borrow_mut().push((part, Rc::new(hook)));
    }

    /// Calls the hooks of *before*, one after another.
    ///
    /// # Errors
    ///
    /// The first refusal; the remaining hooks are not called.
    pub async fn ask(&self) -> Result<(), String> {
        for hook in in_order(&self.before, [Part::Program, Part::Device], true) {
            hook().await?;
        }
        Ok(())
    }

    /// Calls the hooks of *after*, one after another.
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
