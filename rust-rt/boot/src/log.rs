//! The log: one console line a record, with its level and monotonic time.
//!
//! A record that repeats the one before it more than eight times within a second is counted instead of written:
//! libraries have a line for whatever a client does, and a thousand clients must not fill the console.

use crate::console;
use ::log::{Level, LevelFilter, Log, Metadata, Record};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

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

    fn flush(&self) {
        tell_repeats(now_ns());
    }
}

/// Writes one line, whatever the level is set to, unless it repeats the last one.
pub fn write(level: Level, target: &str, text: fmt::Arguments<'_>) {
    let now = now_ns();
    let mut digest = Digest(level as u64);
    let _ = write!(digest, "{target}: {text}");
    match REPEATS.count(digest.0, now) {
        0 => tell_repeats(now),
        1..=Repeats::SHOWN => {}
        _ => return,
    }
    line(now, level, target, text);
}

fn tell_repeats(now: u64) {
    let times = REPEATS.times.swap(0, Ordering::Relaxed).saturating_sub(Repeats::SHOWN);
    if times > 0 {
        line(now, Level::Info, "log", format_args!("last message repeated {times} more times"));
    }
}

fn line(now: u64, level: Level, target: &str, text: fmt::Arguments<'_>) {
    let (s, us) = (now / 1_000_000_000, now / 1000 % 1_000_000);
    console::print(format_args!("[{s:5}.{us:06}] {level:5} {target}: {text}\n"));
}

/// What there is to know of the line written last.
struct Repeats {
    digest: AtomicU64,
    /// When it was written.
    since: AtomicU64,
    /// How often it came again.
    times: AtomicU64,
}

static REPEATS: Repeats = Repeats::new();

impl Repeats {
    /// How many repetitions are still written.
    const SHOWN: u64 = 8;
    /// How long after a line was written its repetitions are counted, in nanoseconds.
    const LONGEST: u64 = 1_000_000_000;

    const fn new() -> Repeats {
        Repeats { digest: AtomicU64::new(0), since: AtomicU64::new(0), times: AtomicU64::new(0) }
    }

    /// How often the line of this digest has come again, 0 if it has not just been written.
    fn count(&self, digest: u64, now: u64) -> u64 {
        let is_new = self.digest.swap(digest, Ordering::Relaxed) != digest;
        if is_new || now >= self.since.load(Ordering::Relaxed).saturating_add(Self::LONGEST) {
            self.since.store(now, Ordering::Relaxed);
            return 0;
        }
        self.times.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// FNV-1a of what is written to it: good enough to tell a line from the next.
struct Digest(u64);

impl Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_comes_again_within_a_second_is_counted() {
        let repeats = Repeats::new();
        assert_eq!(repeats.count(1, 0), 0);
        assert_eq!(repeats.count(1, 5), 1);
        assert_eq!(repeats.count(1, Repeats::LONGEST - 1), 2);
        assert_eq!(repeats.times.swap(0, Ordering::Relaxed), 2);
        assert_eq!(repeats.count(1, Repeats::LONGEST), 0, "a second later");
        assert_eq!(repeats.count(2, Repeats::LONGEST), 0);
        assert_eq!(repeats.count(1, Repeats::LONGEST), 0, "another one came between");
    }

    #[test]
    fn digests_tell_lines_apart_and_not_the_pieces_they_are_written_in() {
        let digest = |text: fmt::Arguments<'_>| {
            let mut digest = Digest(3);
            let _ = digest.write_fmt(text);
            digest.0
        };
        assert_eq!(digest(format_args!("{}: {}", "a", "b")), digest(format_args!("a: b")));
        assert_ne!(digest(format_args!("a: b")), digest(format_args!("a: c")));
    }
}
