//! OCaml's turn, while the main stack blocks.

use mirust_executor::poll::Ready;
use mirust_executor::time::Instant;

/// Whether OCaml can be given turns from here: it runs, and none of its frames is on the main stack.
pub(crate) fn ready() -> bool {
    link::ready()
}

/// One turn of OCaml's loop, which is told why the poll returned. Returns the time of the next one.
pub(crate) fn turn(ready: Ready) -> Instant {
    Instant::from_nanos(link::turn(ready.bits()))
}

/// The language boundary defines these two functions; without it, those below are linked. So an image that never
/// blocks this way does not contain them.
#[cfg(feature = "image")]
mod link {
    // SAFETY: both crates that define these, this one and the language boundary, define them as safe functions
    // of these types.
    unsafe extern "C" {
        safe fn mirust_foreign_ready() -> bool;
        safe fn mirust_foreign_turn(ready: u32) -> u64;
    }

    pub(super) fn ready() -> bool {
        mirust_foreign_ready()
    }

    pub(super) fn turn(ready: u32) -> u64 {
        mirust_foreign_turn(ready)
    }

    /// There is no OCaml.
    #[unsafe(no_mangle)]
    extern "C" fn mirust_no_foreign_ready() -> bool {
        false
    }

    /// There is no OCaml, so this is never called.
    #[unsafe(no_mangle)]
    extern "C" fn mirust_no_foreign_turn(_ready: u32) -> u64 {
        u64::MAX
    }
}

#[cfg(not(feature = "image"))]
mod link {
    use core::sync::atomic::{AtomicPtr, Ordering};

    /// The two functions.
    pub struct Foreign {
        /// Whether OCaml can be given turns now.
        pub ready: fn() -> bool,
        /// One turn, told the bits of why the poll returned; gives when it wants the next one, in ns
        /// since boot.
        pub turn: fn(u32) -> u64,
    }

    static FOREIGN: AtomicPtr<Foreign> = AtomicPtr::new(core::ptr::null_mut());

    /// Sets how OCaml is given turns while the main stack blocks. In an image the link does that.
    pub fn set_foreign(foreign: &'static Foreign) {
        FOREIGN.store(core::ptr::from_ref(foreign).cast_mut(), Ordering::Release);
    }

    fn get() -> Option<&'static Foreign> {
        // SAFETY: null, or from a `&'static Foreign`.
        unsafe { FOREIGN.load(Ordering::Acquire).as_ref() }
    }

    pub(super) fn ready() -> bool {
        get().is_some_and(|foreign| (foreign.ready)())
    }

    pub(super) fn turn(ready: u32) -> u64 {
        get().map_or(u64::MAX, |foreign| (foreign.turn)(ready))
    }
}

#[cfg(not(feature = "image"))]
pub use link::{Foreign, set_foreign};
