//! Hooks for before the domain is suspended, and after it resumes.
//!
//! `xl save` and `xl migrate` freeze the domain, and make a new one from its memory. To the program, only the wall
//! clock jumps: connections survive, timers have as long to run as before, disks have lost nothing. A program may
//! have to act because of peers that were not frozen: release what it holds on another host, reseed a generator of
//! its own, check whether it still has a lease.
//!
//! ```
//! # fn compiles() {
//! use mirust::suspend::{on_resume, on_suspend};
//!
//! on_suspend(async || mirust::log::info!("see you"));
//! on_resume(async |resumed| {
//!     if !resumed.cancelled {
//!         mirust::log::info!("back after {:?}", resumed.away);
//!     }
//! });
//! # }
//! ```
//!
//! In a Linux process, which the kernel freezes without notice, these hooks are never called.

use std::rc::Rc;

use mirust_rt::executor::suspend::Part;

use crate::domain;

pub use mirust_rt::executor::suspend::Resumed;

/// The result of a hook of [`on_suspend`].
pub trait Consent {
    /// Nothing, or why the domain cannot be suspended now.
    fn consent(self) -> Result<(), String>;
}

impl Consent for () {
    fn consent(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: std::fmt::Display> Consent for Result<(), E> {
    fn consent(self) -> Result<(), String> {
        self.map_err(|error| error.to_string())
    }
}

/// Registers a hook that is awaited each time before the domain is suspended; the last one registered runs first. An
/// `Err` prevents the suspension: the domain keeps running, the reason is logged, and the toolstack gives up after its
/// timeout of a minute. The same happens if all hooks together take longer than 20 s.
pub fn on_suspend<C: Consent>(hook: impl AsyncFn() -> C + 'static) {
    let hook = Rc::new(hook);
    domain::suspend_hooks().before(
        Part::Program,
        Box::new(move || {
            let hook = Rc::clone(&hook);
            Box::pin(async move { hook().await.consent() })
        }),
    );
}

/// Registers a hook that is awaited each time the domain resumes, also if it was not frozen after all; the first one
/// registered runs first. The link of a network device may not be up again yet.
pub fn on_resume(hook: impl AsyncFn(Resumed) + 'static) {
    let hook = Rc::new(hook);
    domain::suspend_hooks().after(
        Part::Program,
        Box::new(move |resumed| {
            let hook = Rc::clone(&hook);
            Box::pin(async move { hook(resumed).await })
        }),
    );
}

#[cfg(feature = "ocaml")]
mod of_ocaml {
    use crate::ocaml::{AsyncClosure, BoxRoot, OCamlPromise};

    /// OCaml, once: what is to be awaited before the domain is suspended, which gives why not or an empty string; and
    /// after it, with how many nanoseconds the domain was away, and whether it goes on where it was.
    #[crate::export(unsafe_symbol = "mirust_ocaml_suspend_listen")]
    fn listen(
        before: BoxRoot<fn(()) -> OCamlPromise<String>>,
        after: BoxRoot<fn(isize, bool) -> OCamlPromise<()>>,
    ) {
        super::on_suspend(async move || match before.call_async(((),)).to_rust::<String>().await {
            Ok(why_not) if why_not.is_empty() => Ok(()),
            Ok(why_not) => Err(why_not),
            Err(error) => Err(error.to_string()),
        });
        super::on_resume(async move |resumed| {
            let away = isize::try_from(resumed.away.as_nanos()).unwrap_or(isize::MAX >> 1);
            if let Err(error) = after.call_async((away, resumed.cancelled)).await {
                log::error!("in a hook after the suspension: {error}");
            }
        });
    }
}
