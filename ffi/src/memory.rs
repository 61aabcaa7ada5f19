//! The size of the domain's memory, which the toolstack can change.
//!
//! `xl mem-set` gives the domain more memory (up to `maxmem`) or takes back memory that is not in use. A program that
//! sizes a cache by the available memory can follow that.
//!
//! ```
//! # fn compiles() {
//! mirust::memory::on_resize(|resized| {
//!     mirust::log::info!("{} KiB now, and {} KiB too many", resized.bytes >> 10, resized.short >> 10);
//! });
//! # }
//! ```
//!
//! In a Linux process the kernel manages the memory, and none of these is ever called.

use crate::domain;

pub use mirust_rt::executor::resize::Resized;

/// Has `listener` called after each change of the memory's size, and when memory ought to be given back that is in
/// use: what it lets go of is given back then.
pub fn on_resize(listener: impl Fn(Resized) + 'static) {
    domain::resize_listeners().add(listener);
}

#[cfg(feature = "ocaml")]
mod of_ocaml {
    use crate::ocaml::{BoxRoot, Closure, with_runtime};

    /// OCaml, once: what is called with the bytes that there are now, and those that ought to be given back, too.
    #[crate::export(unsafe_symbol = "mirust_ocaml_memory_resized")]
    fn listen(listener: BoxRoot<fn(isize, isize) -> ()>) {
        super::on_resize(move |resized| {
            let called = with_runtime(|ocaml| {
                let numbers = (resized.bytes as isize, resized.short as isize);
                listener.call(ocaml, numbers).map(drop).map_err(|error| error.to_string())
            });
            if let Ok(Err(error)) = called {
                log::error!("when the memory's size has changed: {error}");
            }
        });
    }
}
