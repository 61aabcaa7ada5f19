//! Where console output goes: one sink, and a fallback for the time before there is one.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicPtr, Ordering};

/// Writes all of the bytes, without taking locks that the caller could hold.
pub type Sink = fn(&[u8]);

static SINK: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Where output goes until there is a sink, and when that has failed.
static EARLY: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Sets where output goes before [`set_sink`]: boot calls this first of all, with the serial port or
/// Xen's debug port. Without it (in a process) such output is dropped.
pub fn set_early(sink: Sink) {
    EARLY.store(sink as *mut (), Ordering::Release);
}

/// Sends all further output to `sink`. Called when the console's driver is ready.
pub fn set_sink(sink: Sink) {
    SINK.store(sink as *mut (), Ordering::Release);
}

/// Goes back to the output of the time before [`set_sink`].
pub fn use_fallback() {
    SINK.store(core::ptr::null_mut(), Ordering::Release);
}

/// Writes raw bytes to the console.
pub fn write(bytes: &[u8]) {
    let sink = match SINK.load(Ordering::Acquire) {
        none if none.is_null() => EARLY.load(Ordering::Acquire),
        sink => sink,
    };
    if sink.is_null() {
        return;
    }
    // SAFETY: the only non-null values ever stored are a `Sink`, by `set_sink` and `set_early`.
    let sink = unsafe { core::mem::transmute::<*mut (), Sink>(sink) };
    sink(bytes)
}

/// Formats to the console, without allocating.
pub fn print(args: fmt::Arguments<'_>) {
    struct Console;
    impl Write for Console {
        fn write_str(&mut self, s: &str) -> fmt::Result {
            write(s.as_bytes());
            Ok(())
        }
    }
    let _ = Console.write_fmt(args);
}
