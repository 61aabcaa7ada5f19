//! Where a program begins and ends.
//!
//! The platform calls `mirust_main`, and ends with its result. In a program without [`main!`](crate::main), the linker
//! uses `mirust_ocaml_main` for that. No frame catches a panic that would leave it: the program ends where the panic
//! began, which is what the backtrace shows.

#[cfg(feature = "xen")]
use std::ffi::{CString, c_char, c_int};
use std::future::Future;

use crate::{domain, owner, setup, shutdown};

/// Makes an async function the program's main function.
///
/// The event loop runs the future, all tasks, and OCaml once [`ocaml::start`](crate::ocaml::start) has
/// started it. When the future is ready, the program ends with the exit code of its [`Outcome`].
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
    /// The exit code: zero powers the domain off; anything else counts as a crash, and is reported.
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
    store_files();
    code
}

/// Files that persist do so however the program ends: C's `exit` does the same. OCaml's channels have written what they
/// had by now, and its loop still turns meanwhile.
fn store_files() {
    #[cfg(all(feature = "descriptors", feature = "redb", feature = "xen"))]
    {
        // An error is in the log.
        let _ = mirust_rt::libc::posix::commit_files();
    }
}

/// C's `main`.
#[doc(hidden)]
#[cfg(feature = "xen")]
pub type CMain =
    unsafe extern "C-unwind" fn(c_int, *const *const c_char, *const *const c_char) -> c_int;

/// Calls a program's C `main` with the command line's arguments and environment, and ends the domain with its exit
/// code. `before` is called first, before the network is up, and may block.
///
/// # Safety
///
/// `main` is a program's main function, and was not called before.
#[doc(hidden)]
#[cfg(feature = "xen")]
pub unsafe fn run_c(main: CMain, before: fn()) -> ! {
    owner::c_owns_main();
    setup::init();
    before();
    #[cfg(not(feature = "ocaml"))]
    end_when_asked();
    #[cfg(feature = "net")]
    bring_network_up();
    let arguments: Vec<CString> = crate::args_os()
        .into_iter()
        // An argument cannot contain a NUL: it came out of a C string.
        .filter_map(|argument| CString::new(argument.into_encoded_bytes()).ok())
        .collect();
    let count = arguments.len() as c_int;
    let null = std::ptr::null();
    // C programs may keep these for ever.
    let arguments = arguments.into_iter().map(|argument| argument.into_raw().cast_const());
    let argv = arguments.chain([null]).collect::<Vec<_>>().leak();
    // SAFETY: the types are those of POSIX.
    unsafe extern "C" {
        static environ: *const *const c_char;
        safe fn exit(status: c_int) -> !;
    }
    // SAFETY: `main` is what the caller says; argv is a null-terminated vector of `count` C strings, and the C
    // library's variable another one, which nobody writes to meanwhile. What `main` returns is what it would call
    // `exit` with: what the program has registered to be called then is called.
    unsafe { exit(main(count, argv.as_ptr(), environ)) }
}

/// Ends a program that is asked to and does not await that, as OCaml's loop does where there is one.
#[cfg(all(feature = "xen", not(feature = "ocaml")))]
fn end_when_asked() {
    domain::spawn(async {
        domain::shutdown_requested().await;
        loop {
            if !shutdown::awaited() {
                shutdown::end();
            }
            domain::next_shutdown_request().await;
        }
    });
}

/// Starts OCaml, and waits for the network: an ordinary program expects it to be up, as on Linux.
#[cfg(all(feature = "net", feature = "xen"))]
fn bring_network_up() {
    /// Seconds after which the wait is worth a warning.
    const LONG: u64 = 10;
    if let Err(error) = crate::ocaml::start() {
        panic!("{error}");
    }
    let warning = domain::spawn(async {
        crate::time::sleep(crate::time::Duration::from_secs(LONG)).await;
        log::warn!(
            "the network is not up yet: is there a DHCP server? MIRUST_ARGS can give an address"
        );
    });
    let up = crate::fiber::block_on(crate::net::ready());
    warning.abort();
    if let Err(error) = up {
        panic!("{error}");
    }
}

/// Prints a backtrace, beginning with the caller, with names from the image's symbol table.
#[doc(hidden)]
#[cfg(feature = "xen")]
pub fn print_backtrace() {
    mirust_rt::diag::backtrace::print(0);
}

/// The main function of a program that OCaml owns: its toplevel, which ends with `Main.run`, and
/// then its `at_exit` functions.
#[cfg(feature = "ocaml")]
#[unsafe(no_mangle)]
extern "C" fn mirust_ocaml_main() -> i32 {
    setup::init();
    crate::ocaml::run_toplevel();
    crate::ocaml::shutdown();
    store_files();
    0
}

/// Where a Linux process begins: `link/unix.ld` calls this `main`.
#[cfg(not(feature = "xen"))]
#[unsafe(no_mangle)]
extern "C-unwind" fn mirust_unix_main() -> i32 {
    // SAFETY: the program defines it with this type; `mirust::main!` and `mirust-program` see to that.
    unsafe extern "C-unwind" {
        fn mirust_main() -> i32;
    }
    crate::platform::report_stack_overflow();
    // SAFETY: the link provides exactly one function of this name and type.
    unsafe { mirust_main() }
}
