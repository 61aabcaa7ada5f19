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

/// Ends a program whose main stack blocks, and may be in the middle of anything, such as a commit of files: on a stack of
/// its own, where what is done at the end can wait. Without memory for one it ends here, and says what it cannot wait for.
#[cfg(feature = "xen")]
pub(crate) fn end() {
    /// Bytes: enough for a commit.
    const STACK: usize = 256 << 10;
    let thread = std::thread::Builder::new().name("end".into()).stack_size(STACK);
    if thread.spawn(|| std::process::exit(0)).is_err() {
        std::process::exit(0);
    }
}

/// The same in a process, which can end on any stack.
#[cfg(all(feature = "ocaml", not(feature = "xen")))]
pub(crate) fn end() {
    std::process::exit(0);
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
