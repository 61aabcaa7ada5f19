//! Where a program begins and ends.
//!
//! The platform calls `mirust_main`, and ends with what it returns. The link takes
//! `mirust_ocaml_main` for that, unless the program has [`main!`](crate::main). A panic that leaves
//! it finds no frame that would catch it, and ends the program where it began: the backtrace of the
//! crash shows that place.

use std::future::Future;

use crate::{domain, owner, setup, shutdown};

/// Makes an async function the program's main function.
///
/// The loop runs the future, all tasks, and OCaml once [`ocaml::start`](crate::ocaml::start) has
/// started it. When the future is ready the program ends, with the exit code that its
/// [`Outcome`] says.
///
/// ```
/// async fn run() -> Result<(), std::num::ParseIntError> {
///     let ms = "10".parse()?;
///     mirust::time::sleep(mirust::time::Duration::from_millis(ms)).await;
///     Ok(())
/// }
///
/// mirust::main!(run);
/// ```
#[macro_export]
macro_rules! main {
    ($main:path) => {
        #[doc(hidden)]
        #[unsafe(no_mangle)]
        pub extern "C-unwind" fn mirust_main() -> i32 {
            $crate::entry::run($main)
        }
    };
}

/// What a main function may return.
pub trait Outcome {
    /// The exit code: zero powers the domain off, anything else is a crash that says so.
    fn code(self) -> i32;
}

impl Outcome for () {
    fn code(self) -> i32 {
        0
    }
}

impl Outcome for i32 {
    fn code(self) -> i32 {
        self
    }
}

impl<E: std::fmt::Display> Outcome for Result<(), E> {
    fn code(self) -> i32 {
        match self {
            Ok(()) => 0,
            Err(error) => {
                log::error!("{error}");
                1
            }
        }
    }
}

/// Runs a Rust main function; see [`main!`](crate::main).
#[doc(hidden)]
pub fn run<F>(main: impl FnOnce() -> F) -> i32
where
    F: Future<Output: Outcome>,
{
    owner::rust_owns_main();
    setup::init();
    let main = shutdown::unless_requested(main());
    #[cfg(feature = "ocaml")]
    let outcome = domain::block_on_with(main, |ready| crate::ocaml::step(ready.bits()));
    #[cfg(not(feature = "ocaml"))]
    let outcome = domain::block_on(main);
    let code = outcome.map_or(0, Outcome::code);
    #[cfg(feature = "ocaml")]
    crate::ocaml::shutdown();
    code
}

/// The main function of a program that OCaml owns: its toplevel, which ends with `Main.run`, and
/// then its `at_exit` functions.
#[cfg(feature = "ocaml")]
#[unsafe(no_mangle)]
extern "C" fn mirust_ocaml_main() -> i32 {
    setup::init();
    crate::ocaml::run_toplevel();
    crate::ocaml::shutdown();
    0
}

/// Where a Linux process begins: `link/unix.ld` calls this `main`.
#[cfg(not(feature = "xen"))]
#[unsafe(no_mangle)]
extern "C-unwind" fn mirust_unix_main() -> i32 {
    unsafe extern "C-unwind" {
        fn mirust_main() -> i32;
    }
    // SAFETY: the link provides exactly one function of this name and type.
    unsafe { mirust_main() }
}
