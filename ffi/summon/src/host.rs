//! What all domains share: the toolstack's settings, and how many calls of it run at a time.

use crate::config::General;
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};
use tokio::sync::{Notify, Semaphore};

/// The state that all domains share.
pub struct Host {
    general: RefCell<Rc<General>>,
    /// Permits to start a domain.
    pub starting: RefCell<Rc<Semaphore>>,
    /// Permits to put a domain to sleep. They are separate so that a save never delays a client.
    pub leaving: RefCell<Rc<Semaphore>>,
    /// A domain may have ended.
    pub look: Notify,
    /// This program is shutting down and starts nothing new.
    pub closing: Cell<bool>,
}

impl Host {
    pub fn new(general: Rc<General>) -> Rc<Self> {
        let places = || RefCell::new(Rc::new(Semaphore::new(general.starts)));
        Rc::new(Host {
            starting: places(),
            leaving: places(),
            general: RefCell::new(general),
            look: Notify::new(),
            closing: Cell::new(false),
        })
    }

    /// The current settings.
    pub fn general(&self) -> Rc<General> {
        self.general.borrow().clone()
    }

    /// Replaces the settings. What is under way keeps the old ones.
    pub fn change(&self, general: Rc<General>) {
        if general.starts != self.general().starts {
            // Permits that are held go back to the old semaphores.
            self.starting.replace(Rc::new(Semaphore::new(general.starts)));
            self.leaving.replace(Rc::new(Semaphore::new(general.starts)));
        }
        self.general.replace(general);
    }
}
