//! The log: one console line a record, with its level and monotonic time.

use crate::console;
use ::log::{Level, LevelFilter, Log, Metadata, Record};
use core::fmt;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Nanoseconds since boot.
pub type Clock = fn() -> u64;

static CLOCK: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Sets the clock whose time stands before each record; without one it is 0.
pub fn set_clock(clock: Clock) {
    CLOCK.store(clock as *mut (), Ordering::Release);
}

/// Makes the console the destination of the `log` crate's macros, from `level` up. Later calls
/// only change the level.
pub fn init(level: LevelFilter) {
    let _ = ::log::set_logger(&ConsoleLog);
    ::log::set_max_level(level);
}

/// Writes records as `[seconds.micros] LEVEL target: message`.
pub struct ConsoleLog;

impl Log for ConsoleLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= ::log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        write(record.level(), record.target(), *record.args());
    }

    fn flush(&self) {}
}

/// Writes one line, whatever the level is set to.
pub fn write(level: Level, target: &str, text: fmt::Arguments<'_>) {
    let us = now_ns() / 1000;
    let (s, us) = (us / 1_000_000, us % 1_000_000);
    console::print(format_args!("[{s:5}.{us:06}] {level:5} {target}: {text}\n"));
}

fn now_ns() -> u64 {
    let clock = CLOCK.load(Ordering::Acquire);
    if clock.is_null() {
        return 0;
    }
    // SAFETY: the only non-null value ever stored is a `Clock`, by `set_clock`.
    let clock = unsafe { core::mem::transmute::<*mut (), Clock>(clock) };
    clock()
}
