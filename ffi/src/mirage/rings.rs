//! The pages of xenstore and of the console.
//!
//! The domain's own pages have one client each, and this runtime is that. Mirage gets pages of the same
//! layout, whose other ends are served here.

use std::cell::RefCell;
use std::ptr::NonNull;

use mirust_rt::mem::PAGE_SIZE;
use mirust_rt::xen;
use mirust_rt::xen::second_console::SecondConsole;

use super::bells::{CONSOLE, XENSTORE};
use super::{Failed, Value, enter, of_int};
use crate::ocaml::net::external_bigarray;
use crate::platform;

thread_local! {
    static CONSOLE_RING: RefCell<Option<SecondConsole>> = const { RefCell::new(None) };
}

/// A page for OCaml.
///
/// # Safety
///
/// It is valid for ever, and the caller may allocate on the OCaml heap.
unsafe fn page(base: NonNull<u8>) -> Value {
    // SAFETY: the caller's promise.
    unsafe { external_bigarray(base, PAGE_SIZE) }
}

/// Mirage has changed xenstore's page.
pub(super) fn xenstore_notified() {
    if let Ok(store) = xen::store() {
        store.relay_notified();
    }
}

/// Mirage has changed the console's page: what is in it is written where all output goes.
pub(super) fn console_notified() {
    CONSOLE_RING.with_borrow_mut(|ring| {
        if ring.as_mut().is_some_and(|ring| ring.take(platform::console_write)) {
            CONSOLE.ring();
        }
    });
}

/// `external mirage_xen_get_xenstore_evtchn : unit -> int`
#[unsafe(no_mangle)]
extern "C" fn mirage_xen_get_xenstore_evtchn(_: Value) -> Value {
    of_int(XENSTORE.port())
}

/// `external mirage_xen_get_xenstore_page : unit -> bigarray`: a ring to xenstore. A second call begins
/// anew, with a client that watches nothing.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn mirage_xen_get_xenstore_page(_: Value) -> Value {
    // SAFETY: OCaml calls; the frame has nothing to drop. The page is valid for ever.
    unsafe {
        enter(|| {
            let store = xen::store().map_err(Failed::because)?;
            let base = store.relay(|| XENSTORE.ring()).map_err(|_| Failed::OutOfMemory)?;
            Ok(page(base))
        })
    }
}

/// `external get_console_evtchn : unit -> int`
#[unsafe(no_mangle)]
extern "C" fn mirage_xen_get_console_evtchn(_: Value) -> Value {
    of_int(CONSOLE.port())
}

/// `external get_console_page : unit -> bigarray`: a ring whose output goes to the console. Nothing comes in.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn mirage_xen_get_console_page(_: Value) -> Value {
    // SAFETY: OCaml calls; the frame has nothing to drop. The page is valid for ever.
    unsafe {
        enter(|| {
            CONSOLE_RING.with_borrow_mut(|ring| {
                if ring.is_none() {
                    *ring = Some(SecondConsole::new().map_err(|_| Failed::OutOfMemory)?);
                }
                Ok(page(ring.as_ref().expect("just made").page()))
            })
        })
    }
}
