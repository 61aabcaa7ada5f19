//! Log lines of both languages, on the console.

pub(crate) use mirust_rt::diag::log::write;

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
