//! Starting OCaml, and taking turns with its loop.

use std::ffi::{CStr, CString, OsString, c_char};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use mirust_rt::poll::Ready;
use ocaml_sys::Value as Raw;

use super::runtime;
use crate::platform;
use crate::time::Instant;
use crate::turn;

/// The callback that `ocaml-stubs/mirust/main.ml` registers.
const STEP: &CStr = c"mirust_step";

/// What OCaml's standard library registers for its end.
const AT_EXIT: &CStr = c"Pervasives.do_at_exit";

static STARTED: AtomicBool = AtomicBool::new(false);

/// Why OCaml was not started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StartError {
    /// It has already been started. An image has one OCaml program.
    AlreadyStarted,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OCaml has already been started")
    }
}

impl std::error::Error for StartError {}

/// Starts the OCaml program of a Rust-owned image: runs its toplevel, in which `Main.run` returns at once;
/// from then on the loop of [`main!`](crate::main) drives OCaml's.
///
/// Call it once, from the main future and not from a task.
///
/// # Errors
///
/// [`StartError::AlreadyStarted`].
pub fn start() -> Result<(), StartError> {
    if STARTED.swap(true, Ordering::Relaxed) {
        return Err(StartError::AlreadyStarted);
    }
    run_toplevel();
    runtime::returned();
    Ok(())
}

/// What OCaml has as `Sys.argv`: the program's parameters, but for a C `main`, which knows nothing of Mirust and
/// whose own they are. Then they are in the environment variable `MIRUST_ARGS`; without it the network
/// asks for its address.
fn arguments() -> Vec<Vec<u8>> {
    if !crate::owner::is_c() {
        return crate::args_os().into_iter().map(OsString::into_encoded_bytes).collect();
    }
    let given = std::env::var_os("MIRUST_ARGS").unwrap_or_else(|| "--dhcp".into());
    let mut arguments = vec![b"mirust".to_vec()];
    arguments.extend(crate::args::split(given.as_encoded_bytes()));
    arguments
}

/// Runs the toplevel of the OCaml program. An exception that it does not catch is reported by OCaml
/// and ends the program.
pub(crate) fn run_toplevel() {
    STARTED.store(true, Ordering::Relaxed);
    let mut argv: Vec<*const c_char> = arguments()
        .into_iter()
        // A parameter cannot contain a NUL: it came out of a C string.
        .filter_map(|argument| CString::new(argument).ok())
        // OCaml keeps these for Sys.argv, for ever.
        .map(|argument| argument.into_raw().cast_const())
        .collect();
    argv.push(std::ptr::null());
    // SAFETY: a null-terminated vector of C strings, none of which is ever freed; OCaml is started
    // once, as STARTED says in `start` and by the entry point that calls this otherwise.
    unsafe { ocaml_sys::caml_startup(argv.leak().as_ptr().cast()) }
}

/// What the OCaml library calls when it is initialised, that is: OCaml runs. Whether it was started here, and so
/// with one domain.
pub(crate) fn init() -> bool {
    // SAFETY: OCaml runs in this thread. Calling it again is harmless.
    let ready = unsafe { ocaml_boxroot_sys::boxroot_setup() };
    assert!(ready, "no memory for OCaml's roots");
    runtime::started();
    // OCaml has installed a handler of its own.
    platform::report_stack_overflow();
    STARTED.load(Ordering::Relaxed)
}

/// Ends OCaml: its `at_exit` functions run.
pub(crate) fn shutdown() {
    if STARTED.load(Ordering::Relaxed) {
        // SAFETY: OCaml was started in this thread and none of its code is on the stack. The function takes unit.
        unsafe {
            // No `caml_shutdown`: it would drop an exception, and call once more what has been called, which
            // functions of `Domain.at_exit` do not mind themselves. The program's end frees the memory.
            if let Some(v_exit) = ocaml_sys::caml_named_value(AT_EXIT.as_ptr()).as_ref() {
                returned_or_end(ocaml_sys::caml_callback_exn(*v_exit, ocaml_sys::UNIT));
            }
        }
    }
}

/// What a callback gave. An exception ends the program, as one that nobody has caught does in OCaml.
///
/// # Safety
///
/// A callback returned it just now, and OCaml can run.
unsafe fn returned_or_end(v: Raw) -> Raw {
    // SAFETY: the type is that of OCaml's `printexc.h`.
    unsafe extern "C" {
        fn caml_fatal_uncaught_exception(v_exn: Raw) -> !;
    }
    if ocaml_sys::is_exception_result(v) {
        // SAFETY: an encoded exception; the caller's promise.
        unsafe { caml_fatal_uncaught_exception(ocaml_sys::extract_exception(v)) }
    }
    v
}

/// One turn of OCaml's loop, told why the poll returned. Gives the time of the next one.
pub(crate) fn step(ready: u32) -> Instant {
    if !runtime::is_started() {
        return Instant::NEVER;
    }
    // SAFETY: a C string; the result is null or a root.
    let Some(v_step) = (unsafe { ocaml_sys::caml_named_value(STEP.as_ptr()).as_ref() }) else {
        return Instant::NEVER;
    };
    turn::begin();
    let stepped = runtime::hold(|_| {
        let _lent = runtime::lend();
        // SAFETY: the runtime is ours; the closure takes an int and gives one.
        unsafe {
            let ready = (ready as isize) << 1 | 1;
            returned_or_end(ocaml_sys::caml_callback_exn(*v_step, ready))
        }
    });
    turn::end();
    match stepped {
        Ok(v_next) => crate::time::deadline((v_next >> 1) as u64),
        Err(unavailable) => panic!("the loop turned inside a call from OCaml: {unavailable}"),
    }
}

/// Whether OCaml's loop can be given turns while the main stack blocks in a call: not, if that call came out
/// of OCaml, or out of Rust that uses its heap. For `mirust-fiber`, which finds it by the link.
#[cfg_attr(feature = "xen", unsafe(no_mangle))]
pub(crate) extern "C" fn mirust_foreign_ready() -> bool {
    runtime::is_clear()
}

/// One such turn; as [`step`], in ns since boot. A program that is asked to end, and has nobody who
/// awaits that, is ended: its main function cannot be told.
#[cfg_attr(feature = "xen", unsafe(no_mangle))]
pub(crate) extern "C" fn mirust_foreign_turn(ready: u32) -> u64 {
    let asked = Ready::SHUTDOWN.bits() & ready != 0;
    if asked && !crate::shutdown::awaited() {
        crate::shutdown::end();
    }
    step(ready).as_nanos()
}
