//! What comes before everything else, whichever language owns the program's main function.

#[cfg(all(feature = "ocaml", not(feature = "xen")))]
use crate::ocaml;
#[cfg(all(feature = "descriptors", any(feature = "xen", feature = "posix-on-unix")))]
use crate::posix;
use crate::{args, domain, logger, panic};

/// Sets up what the runtime leaves to a crate with `std`: the environment, the log, the panic hook,
/// and the guard that keeps a panic inside its task. The first call counts.
pub(crate) fn init() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        args::set_environment();
        logger::init();
        panic::init();
        domain::set_guard(panic::guard);
        #[cfg(all(feature = "descriptors", any(feature = "xen", feature = "posix-on-unix")))]
        posix::init();
        #[cfg(all(feature = "ocaml", not(feature = "xen")))]
        mirust_fiber::set_foreign(&mirust_fiber::Foreign {
            ready: || ocaml::mirust_foreign_ready(),
            turn: |ready| ocaml::mirust_foreign_turn(ready),
        });
    });
}
