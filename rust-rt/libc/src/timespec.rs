//! Times as C passes them.

use core::ffi::c_long;

pub(crate) const NS_PER_S: u64 = 1_000_000_000;

/// `struct timespec`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Timespec {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: c_long,
}

impl Timespec {
    /// In nanoseconds; none if it is no time. What is before the clock's start is its start.
    pub(crate) fn ns(&self) -> Option<u64> {
        let below = u64::try_from(self.nanoseconds).ok().filter(|&ns| ns < NS_PER_S)?;
        let seconds = u64::try_from(self.seconds).unwrap_or(0);
        Some(seconds.saturating_mul(NS_PER_S).saturating_add(below))
    }

    pub(crate) fn from_ns(ns: u64) -> Self {
        Timespec { seconds: (ns / NS_PER_S) as i64, nanoseconds: (ns % NS_PER_S) as c_long }
    }
}
