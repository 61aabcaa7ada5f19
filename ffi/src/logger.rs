//! Log lines of both languages, on the console.

pub(crate) use mirust_rt::diag::log::write;

use std::fmt::{self, Write};

use log::{Level, LevelFilter};
use mirust_rt::diag;

/// Connects the [`log`] facade to the console, on the platform where boot code has not.
pub(crate) fn init() {
    if cfg!(not(feature = "xen")) {
        diag::console::set_sink(crate::platform::error_write);
        diag::log::set_clock(|| crate::time::now().as_nanos());
    }
    diag::log::init(LevelFilter::Info);
}

/// The level with this number, as in [`log::Level`]; nothing for 0 and beyond.
pub(crate) fn level(number: isize) -> Option<Level> {
    [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace]
        .into_iter()
        .find(|&level| level as isize == number)
}

/// A message that may quote strangers, as it is shown: control characters, which could move a terminal's cursor or hide
/// what came before, are escaped, all but line ends and tabs.
pub(crate) struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\n' | '\t' => f.write_char(c),
            c if c.is_control() => write!(f, "{}", c.escape_default()),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_send_moves_no_cursor() {
        let shown = |text| Shown(text).to_string();
        assert_eq!(shown("a path: /tmp\n\tat f, \"é\" \\"), "a path: /tmp\n\tat f, \"é\" \\");
        assert_eq!(shown("bad \x1b[2J\r\0\u{9b}"), "bad \\u{1b}[2J\\r\\u{0}\\u{9b}");
    }

    #[test]
    fn level_numbers_are_those_of_the_facade() {
        assert_eq!(level(1), Some(Level::Error));
        assert_eq!(level(5), Some(Level::Trace));
        assert_eq!(level(0), None);
        assert_eq!(level(6), None);
    }
}
