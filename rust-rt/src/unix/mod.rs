//! The Unix platform: the domain as a Linux process, for development and tests.
//!
//! SIGTERM and SIGINT ask for the domain's end, as `xl shutdown` does; a second one ends the
//! process at once.

pub mod clock;
mod fd;
mod process;
mod reactor;
mod sys;

pub use fd::Fd;
pub use process::{allocated, command_line, console_write, error_write, exit, random};
pub use sys::{Errno, RawFd};

use crate::domain::owned::Owned;
use crate::platform::Platform;
use reactor::Reactor;

static REACTOR: Owned<Reactor> = Owned::new();

/// The name of this platform.
pub const NAME: &str = "unix";

/// The one reactor of the process.
fn reactor() -> &'static Reactor {
    REACTOR.get_or_init(|| match Reactor::new() {
        Ok(reactor) => reactor,
        Err(error) => panic!("cannot set up the event loop: {error}"),
    })
}

/// The platform of this process. Belongs to the thread that first asks.
pub fn platform() -> &'static dyn Platform {
    reactor()
}
