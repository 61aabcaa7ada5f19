//! The crash report: the last words of an image that cannot go on.

use super::backtrace;
use crate::{console, end};
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

/// Reports that were begun.
static REPORTS: AtomicU32 = AtomicU32::new(0);

/// Prints `cause` with a backtrace, and ends the domain as crashed. For errors after which neither
/// language can run: an abort, a corrupt heap, an exhausted one.
///
/// Does not allocate. If something fails while reporting, a short line says so and the domain ends
/// all the same.
pub fn fatal(cause: fmt::Arguments<'_>) -> ! {
    report(cause, || {
        console::print(format_args!("backtrace:\n"));
        backtrace::print(0);
    })
}

/// A cause that lack of memory may be behind: displays with what was asked for and what there is, if the last request
/// that was refused would be so again.
pub(crate) struct MaybeOutOfMemory<T>(pub T);

impl<T: fmt::Display> fmt::Display for MaybeOutOfMemory<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        let shortage = mirust_mem::stats().shortage();
        if shortage.wanted > 0 { write!(f, ": out of memory: {shortage}") } else { Ok(()) }
    }
}

/// As [`fatal`], for want of memory: the cause is followed by what was asked for and what there is.
pub fn fatal_shortage(cause: &str) -> ! {
    let shortage = mirust_mem::stats().shortage();
    fatal(format_args!("{cause}: {shortage}"))
}

/// Prints `cause`, what `details` prints, and `crashed: ` with the cause again, so that the reason
/// is the last line of the console; then ends the domain as crashed.
pub(super) fn report(cause: fmt::Arguments<'_>, details: impl FnOnce()) -> ! {
    match REPORTS.fetch_add(1, Ordering::Relaxed) {
        0 => {
            console::print(format_args!("\n*** {cause}\n"));
            details();
            console::print(format_args!("memory: {}\n", mirust_mem::stats()));
            console::print(format_args!("crashed: {cause}\n"));
        }
        1 => {
            // The console driver may be what fails.
            console::use_fallback();
            console::print(format_args!("crashed: {cause}, while another failure was reported\n"));
        }
        _ => {}
    }
    end::crash()
}
