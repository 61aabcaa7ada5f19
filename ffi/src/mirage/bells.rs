//! Event channels without Xen, for the rings that are served inside this domain.

use std::sync::atomic::{AtomicBool, Ordering};

/// How many numbers there are. More than one poll can wait for, and then some.
pub(super) const PORTS: usize = 256;

/// An event channel that has no Xen behind it.
pub(super) struct Bell {
    pub(super) port: usize,
    pub(super) rung: AtomicBool,
}

/// The one of xenstore's ring.
pub(super) static XENSTORE: Bell = Bell { port: PORTS - 1, rung: AtomicBool::new(false) };
/// The one of the console's ring.
pub(super) static CONSOLE: Bell = Bell { port: PORTS - 2, rung: AtomicBool::new(false) };

impl Bell {
    pub(super) fn port(&self) -> isize {
        self.port as isize
    }

    /// Makes an event pending.
    pub(super) fn ring(&self) {
        if !self.rung.swap(true, Ordering::Relaxed) {
            crate::domain::signal_foreign();
        }
    }
}
