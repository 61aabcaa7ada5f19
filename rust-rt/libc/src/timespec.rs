//! Times as C passes them.

use core::ffi::c_long;

pub(crate) const NS_PER_S: u64 = 1_000_000_000;

/// `struct timespec`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Timespec {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: c_long,
}

impl Timespec {
    /// A valid time for Linux, in nanoseconds: neither negative nor with a whole second of nanoseconds. The far
    /// future is `u64::MAX`.
    pub(crate) fn ns(&self) -> Option<u64> {
        let seconds = u64::try_from(self.seconds).ok()?;
        let below = u64::try_from(self.nanoseconds).ok().filter(|&ns| ns < NS_PER_S)?;
        Some(seconds.saturating_mul(NS_PER_S).saturating_add(below))
    }

    /// The same of a point in time for `<pthread.h>`, where one before the clock's start has merely passed.
    pub(crate) fn deadline_ns(&self) -> Option<u64> {
        Timespec { seconds: self.seconds.max(0), ..*self }.ns()
    }

    /// A time limit in nanoseconds: nothing if it is no time, or nothing within if there is no limit.
    ///
    /// # Safety
    ///
    /// `limit` is NULL or readable.
    pub(crate) unsafe fn limit(limit: *const Timespec) -> Option<Option<u64>> {
        // SAFETY: as the caller says.
        match unsafe { limit.as_ref() } {
            None => Some(None),
            Some(limit) => limit.ns().map(Some),
        }
    }

    pub(crate) fn from_ns(ns: u64) -> Self {
        Timespec { seconds: (ns / NS_PER_S) as i64, nanoseconds: (ns % NS_PER_S) as c_long }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_checked() {
        assert_eq!(Timespec::from_ns(5_000_000_123).ns(), Some(5_000_000_123));
        assert_eq!(Timespec { seconds: -1, nanoseconds: 0 }.ns(), None);
        assert_eq!(Timespec { seconds: -1, nanoseconds: 3 }.deadline_ns(), Some(3));
        let too_many = Timespec { seconds: 0, nanoseconds: 1_000_000_000 };
        assert_eq!((too_many.ns(), too_many.deadline_ns()), (None, None));
        assert_eq!(Timespec { seconds: i64::MAX, nanoseconds: 5 }.ns(), Some(u64::MAX));
        assert_eq!(size_of::<Timespec>(), size_of::<host_libc::timespec>());
    }
}
