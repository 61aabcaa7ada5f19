//! Broken-down time. The only time zone is UTC.

use super::errno::{self, EOVERFLOW};
use core::ffi::{c_char, c_int, c_long};

/// `struct tm`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Tm {
    pub(super) second: c_int,
    pub(super) minute: c_int,
    pub(super) hour: c_int,
    pub(super) day: c_int,
    /// 0 is January.
    pub(super) month: c_int,
    /// Since 1900.
    pub(super) year: c_int,
    /// 0 is Sunday.
    pub(super) weekday: c_int,
    /// 0 is the first of January.
    pub(super) yearday: c_int,
    pub(super) daylight_saving: c_int,
    pub(super) offset: c_long,
    pub(super) zone: *const c_char,
}

const _: () = assert!(size_of::<Tm>() == 56);

const DAY: i64 = 86_400;

/// The civil date of a day since 1970-01-01: year, month (0 to 11), day (from 1).
///
/// Years start in March here, so that the odd day comes last, and are counted in the 400-year
/// cycles of the Gregorian calendar.
fn date(days: i64) -> (i64, i64, i64) {
    const CYCLE: i64 = 146_097;
    // From 0000-03-01, the start of a cycle.
    let days = days + 719_468;
    let (cycle, day) = (days.div_euclid(CYCLE), days.rem_euclid(CYCLE));
    // Leap days: every 4 years, not every 100, every 400.
    let year = (day - day / 1460 + day / 36_524 - day / (CYCLE - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // The months from March have 31, 30, 31, 30, 31 days, twice and a bit.
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let january = month >= 10;
    let month = if january { month - 10 } else { month + 2 };
    (cycle * 400 + year + i64::from(january), month, day_of_month)
}

/// The day since 1970-01-01 of the first of January.
fn first_of(year: i64) -> i64 {
    let y = year - 1;
    365 * (year - 1970) + (y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400)) - 477
}

/// None when the year does not fit into an `int`.
fn broken_down(time: i64) -> Option<Tm> {
    let (days, seconds) = (time.div_euclid(DAY), time.rem_euclid(DAY));
    let (year, month, day) = date(days);
    Some(Tm {
        second: (seconds % 60) as c_int,
        minute: (seconds / 60 % 60) as c_int,
        hour: (seconds / 3600) as c_int,
        day: day as c_int,
        month: month as c_int,
        year: c_int::try_from(year - 1900).ok()?,
        weekday: (days + 4).rem_euclid(7) as c_int,
        yearday: (days - first_of(year)) as c_int,
        daylight_saving: 0,
        offset: 0,
        zone: c"UTC".as_ptr(),
    })
}

/// # Safety
///
/// `time` is readable, `to` is writable.
unsafe fn store(time: *const i64, to: *mut Tm) -> *mut Tm {
    // SAFETY: as the caller says.
    unsafe {
        let Some(tm) = broken_down(*time) else {
            errno::set(EOVERFLOW);
            return core::ptr::null_mut();
        };
        *to = tm;
    }
    to
}

/// The time of what was broken down, with fields out of their ranges carried over. Sets the fields right.
///
/// # Safety
///
/// `tm` is readable and writable.
unsafe fn normalized(tm: *mut Tm) -> i64 {
    // SAFETY: as the caller says.
    let Tm { second, minute, hour, day, month, year, .. } = unsafe { tm.read() };
    let (year, month) =
        (i64::from(year) + 1900 + i64::from(month).div_euclid(12), month.rem_euclid(12));
    // Days before the month, from March on as in `date`.
    let from_march = (i64::from(month) + 10) % 12;
    let march_year = if month < 2 { year - 1 } else { year };
    let days = 365 * march_year + march_year.div_euclid(4) - march_year.div_euclid(100)
        + march_year.div_euclid(400)
        + (153 * from_march + 2) / 5
        - 719_468
        + i64::from(day)
        - 1;
    let time = days * DAY + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    // SAFETY: as the caller says.
    unsafe { store(&raw const time, tm) };
    time
}

/// The time of what was broken down.
pub(super) fn time_of(mut tm: Tm) -> i64 {
    // SAFETY: its own copy.
    unsafe { normalized(&raw mut tm) }
}

/// -1 with EOVERFLOW when the year does not fit into an `int`.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn timegm(tm: *mut Tm) -> i64 {
    // SAFETY: the contract is the same.
    let time = unsafe { normalized(tm) };
    if broken_down(time).is_some() { time } else { errno::fail(EOVERFLOW).into() }
}

/// `timegm`: local time is UTC.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn mktime(tm: *mut Tm) -> i64 {
    // SAFETY: the contract is the same.
    unsafe { timegm(tm) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn difftime(later: i64, earlier: i64) -> f64 {
    (i128::from(later) - i128::from(earlier)) as f64
}

/// Nothing to be read from anywhere: the time zone is UTC.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn tzset() {}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn gmtime_r(time: *const i64, to: *mut Tm) -> *mut Tm {
    // SAFETY: the contract is the same.
    unsafe { store(time, to) }
}

/// `gmtime_r`: local time is UTC.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn localtime_r(time: *const i64, to: *mut Tm) -> *mut Tm {
    // SAFETY: the contract is the same.
    unsafe { store(time, to) }
}

/// What `gmtime` and `localtime` return a pointer to, as C has it.
pub(super) struct Shared<T>(pub(super) core::cell::UnsafeCell<T>);

// SAFETY: C allows a call to race with no other; the image has one thread.
unsafe impl<T> Sync for Shared<T> {}

static SHARED: Shared<Tm> = Shared(core::cell::UnsafeCell::new(Tm {
    second: 0,
    minute: 0,
    hour: 0,
    day: 1,
    month: 0,
    year: 70,
    weekday: 4,
    yearday: 0,
    daylight_saving: 0,
    offset: 0,
    zone: core::ptr::null(),
}));

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn gmtime(time: *const i64) -> *mut Tm {
    // SAFETY: the contract is the same, and the shared one is writable.
    unsafe { store(time, SHARED.0.get()) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn localtime(time: *const i64) -> *mut Tm {
    // SAFETY: the contract is the same, and the shared one is writable.
    unsafe { store(time, SHARED.0.get()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(time: i64) {
        let mut theirs = core::mem::MaybeUninit::<host_libc::tm>::uninit();
        // SAFETY: both are writable.
        let theirs = unsafe {
            assert!(!host_libc::gmtime_r(&raw const time, theirs.as_mut_ptr()).is_null());
            theirs.assume_init()
        };
        let ours = broken_down(time).unwrap();
        assert_eq!(
            [
                ours.second,
                ours.minute,
                ours.hour,
                ours.day,
                ours.month,
                ours.year,
                ours.weekday,
                ours.yearday
            ],
            [
                theirs.tm_sec,
                theirs.tm_min,
                theirs.tm_hour,
                theirs.tm_mday,
                theirs.tm_mon,
                theirs.tm_year,
                theirs.tm_wday,
                theirs.tm_yday,
            ],
            "{time}"
        );
    }

    #[test]
    fn dates_are_those_of_the_host() {
        // Every day of 800 years, at a changing time of day; before and after 1970.
        for day in -150_000..150_000 {
            same(day * DAY + day.rem_euclid(DAY));
        }
        for time in [
            0,
            -1,
            i64::from(i32::MAX),
            i64::from(i32::MIN),
            253_402_300_799,
            -62_135_596_801,
            1 << 50,
        ] {
            same(time);
        }
    }

    #[test]
    fn times_of_dates_are_those_of_the_host() {
        let fields = [
            [0, 0, 0, 1, 0, 70],
            [59, 59, 23, 31, 11, 137],
            [-1, 0, 0, 1, 0, 100],
            [0, 0, 0, 0, 2, 100],
            [0, 0, 0, 29, 1, 101],
            [3600, 90, -30, 400, -13, -70],
            [7, 100_000, 0, 1, 1000, 24],
        ];
        for [second, minute, hour, day, month, year] in fields {
            // SAFETY: numbers and pointers, for which zeros are values.
            let mut tm: Tm = unsafe { core::mem::zeroed() };
            tm = Tm { second, minute, hour, day, month, year, ..tm };
            // SAFETY: as above.
            let mut theirs: host_libc::tm = unsafe { core::mem::zeroed() };
            (theirs.tm_sec, theirs.tm_min, theirs.tm_hour) = (second, minute, hour);
            (theirs.tm_mday, theirs.tm_mon, theirs.tm_year) = (day, month, year);
            // SAFETY: both are writable.
            unsafe { assert_eq!(timegm(&raw mut tm), host_libc::timegm(&raw mut theirs)) };
            let ours = (tm.day, tm.month, tm.year, tm.yearday, tm.weekday);
            let theirs =
                (theirs.tm_mday, theirs.tm_mon, theirs.tm_year, theirs.tm_yday, theirs.tm_wday);
            assert_eq!(ours, theirs);
        }
        assert!((difftime(5, 7) + 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_year_beyond_an_int_is_refused() {
        assert_eq!(broken_down(i64::MAX), None);
        assert_eq!(broken_down(i64::MIN), None);
    }
}
