//! Log lines of both languages, on the console.

use std::fmt::Write;

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::{ground, time};

struct Logger;

static LOGGER: Logger = Logger;

/// Makes this crate's logger the one of the [`log`] facade, for warnings and errors.
pub(crate) fn init() {
    // Somebody else's logger is respected.
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            write(record.level(), record.target(), record.args());
        }
    }

    fn flush(&self) {}
}

/// Writes one line: seconds since boot, level, source, message. It goes out in one piece.
pub(crate) fn write(level: Level, source: &str, message: impl std::fmt::Display) {
    let us = time::now().as_nanos() / 1000;
    let mut line = String::with_capacity(128);
    let (s, us) = (us / 1_000_000, us % 1_000_000);
    // Writing to a String cannot fail.
    let _ = writeln!(line, "[{s:5}.{us:06}] {level:<5} {source}: {message}");
    ground::error_write(line.as_bytes());
}

/// The level with this number, as in [`log::Level`]; nothing for 0 and beyond.
pub(crate) fn level(number: isize) -> Option<Level> {
    [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace]
        .into_iter()
        .find(|&level| level as isize == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_numbers_are_those_of_the_facade() {
        assert_eq!(level(1), Some(Level::Error));
        assert_eq!(level(5), Some(Level::Trace));
        assert_eq!(level(0), None);
        assert_eq!(level(6), None);
    }
}
