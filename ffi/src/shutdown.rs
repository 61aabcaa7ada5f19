//! Shutdown requests.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use mirust_rt::domain;
use mirust_rt::shutdown::{ShutdownReason, ShutdownRequested};

crate::local::domain_local! {
    static AWAITED: Cell<bool> = const { Cell::new(false) };
}

/// Calls what may wait: where it is, or elsewhere if it cannot wait there.
#[cfg(any(feature = "ocaml", feature = "xen"))]
type Call = fn(fn());

#[cfg(any(feature = "ocaml", feature = "xen"))]
crate::local::domain_local! {
    static CALL: Cell<Call> = const { Cell::new(|f| f()) };
    /// The program's handler of a signal knows about the request.
    static SIGNALLED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the program awaits shutdown requests.
pub(crate) fn awaited() -> bool {
    AWAITED.get()
}

/// Waits for a shutdown request (`xl shutdown`, `xl reboot`; on Unix SIGTERM and SIGINT), and returns its
/// kind; at once if there already was one.
///
/// A program that calls this has to end by itself. If neither language has called it, a request ends the
/// program: the main function is dropped, and OCaml's exit hooks run.
pub fn shutdown_requested() -> ShutdownRequested {
    AWAITED.set(true);
    domain::shutdown_requested()
}

/// Runs `f` at the first such request. As with [`shutdown_requested`], the program then has to end by itself.
/// A clean end after a reboot request is a reboot.
pub fn on_shutdown(f: impl FnOnce(ShutdownReason) + 'static) {
    let requested = shutdown_requested();
    domain::spawn(async { f(requested.await) });
}

/// With what std has still to write.
#[cfg(feature = "ocaml")]
fn end_here() {
    std::process::exit(0);
}

/// What there is to write is not this std's, but the program's: without OCaml only C's `main` is ended so.
#[cfg(all(feature = "xen", not(feature = "ocaml")))]
fn end_here() {
    // SAFETY: the type is that of POSIX.
    unsafe extern "C" {
        safe fn exit(status: std::ffi::c_int) -> !;
    }
    exit(0);
}

/// Seconds after which a program ends that was told to, and has not: its handler may only have set a flag, at which the
/// program may not look, or may wait in what no handler ends, such as a lock or another thread's end.
#[cfg(feature = "xen")]
const PATIENCE: u64 = 30;

/// Ends a program whose main stack blocks. One that has a handler for such a signal is told by that, as on Linux, and
/// ends by itself, within [`PATIENCE`]; a second request does not wait for that.
#[cfg(any(feature = "ocaml", feature = "xen"))]
pub(crate) fn end() {
    let end = if SIGNALLED.get() { end_here } else { signal_or_end };
    SIGNALLED.set(true);
    (CALL.get())(end);
}

/// On Linux, signals are the kernel's.
#[cfg(any(feature = "ocaml", feature = "xen"))]
fn signal_or_end() {
    #[cfg(feature = "xen")]
    if mirust_rt::libc::signal::ask_to_end() {
        domain::spawn(async {
            crate::time::sleep(crate::time::Duration::from_secs(PATIENCE)).await;
            log::warn!("the program was asked to end {PATIENCE} s ago, and has not");
            (CALL.get())(end_here);
        });
        return;
    }
    end_here();
}

/// Has a program that is asked to end do so by `call`, as what is done then may wait. `call` may return before that.
#[cfg(all(
    feature = "descriptors",
    feature = "redb",
    any(feature = "xen", feature = "posix-on-unix")
))]
pub(crate) fn end_by(call: Call) {
    CALL.set(call);
}

/// Runs `main`, but not longer than until a request that nobody awaits.
pub(crate) async fn unless_requested<F: Future>(main: F) -> Option<F::Output> {
    let mut main = pin!(main);
    let mut requested = pin!(domain::shutdown_requested());
    poll_fn(|cx| {
        if let Poll::Ready(output) = main.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        if domain::shutdown_reason().is_some() {
            return if awaited() { Poll::Pending } else { Poll::Ready(None) };
        }
        let _ = requested.as_mut().poll(cx);
        Poll::Pending
    })
    .await
}
