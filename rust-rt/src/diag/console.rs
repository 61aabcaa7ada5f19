//! Where console output goes: one sink, and a fallback for the time before there is one.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicPtr, Ordering};

/// Writes all of the bytes, without taking locks that the caller could hold.
pub type Sink = fn(&[u8]);

static SINK: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Sends all further output to `sink`. The console driver calls this when it is ready; until then
/// output goes to the serial port or Xen's debug port (image) or is dropped (process).
pub fn set_sink(sink: Sink) {
    SINK.store(sink as *mut (), Ordering::Release);
}

/// Goes back to the output of the time before [`set_sink`].
pub fn use_fallback() {
    SINK.store(core::ptr::null_mut(), Ordering::Release);
}

/// Writes raw bytes to the console.
pub fn write(bytes: &[u8]) {
    let sink = SINK.load(Ordering::Acquire);
    if sink.is_null() {
        return early(bytes);
    }
    // SAFETY: the only non-null value ever stored is a `Sink`, by `set_sink`.
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

#[cfg(feature = "xen")]
fn early(bytes: &[u8]) {
    crate::boot::early_write(bytes)
}

#[cfg(not(feature = "xen"))]
fn early(_bytes: &[u8]) {}
