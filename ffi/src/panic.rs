//! What happens to panics.

use std::any::Any;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Replaces std's hook, which prints to a standard error of its own making.
pub(crate) fn init() {
    std::panic::set_hook(Box::new(report));
}

/// What std's panics say that come of another panic, and that nothing can catch.
#[cfg(not(feature = "xen"))]
const LAST: [&str; 2] =
    ["panic in a function that cannot unwind", "panic in a destructor during cleanup"];

/// One error in the log for every panic, whatever becomes of it. A process ends here after a panic that
/// nothing can catch, with a backtrace; an image does so in its `abort`.
fn report(info: &PanicHookInfo<'_>) {
    let message = message(info.payload());
    #[cfg(not(feature = "xen"))]
    if LAST.contains(&message) {
        crate::platform::die(message);
    }
    match info.location() {
        Some(at) => line(format_args!("{message} ({at})")),
        None => line(format_args!("{message}")),
    }
}

/// A panic that ends a task may be what a stranger has asked for: the first ones are logged, and then each time that
/// their number has doubled.
fn line(message: std::fmt::Arguments<'_>) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    mirust_rt::diag::note_panic(message);
    match COUNT.fetch_add(1, Ordering::Relaxed) + 1 {
        1..=64 => log::error!(target: "panic", "{message}"),
        n if n.is_power_of_two() => log::error!(target: "panic", "{message} (panic {n})"),
        _ => {}
    }
}

/// The message of a panic.
pub(crate) fn message(payload: &(dyn Any + Send)) -> &str {
    if let Some(s) = payload.downcast_ref::<&str>() {
        s
    } else if let Some(s) = payload.downcast_ref::<String>() {
        s
    } else {
        "a panic without a message"
    }
}

/// The executor's guard: a panic ends its task, not the domain.
pub(crate) fn guard(call: &mut dyn FnMut()) -> Result<(), Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(call))
}
