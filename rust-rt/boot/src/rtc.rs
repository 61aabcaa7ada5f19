//! A PC's battery-backed clock, which QEMU emulates: the date, on a machine without Xen.
//!
//! Its registers hold the parts of a date in UTC, in binary or BCD, and keep counting while they are read.

const SECONDS: u8 = 0x00;
const MINUTES: u8 = 0x02;
const HOURS: u8 = 0x04;
const DAY: u8 = 0x07;
const MONTH: u8 = 0x08;
const YEAR: u8 = 0x09;
const CENTURY: u8 = 0x32;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
/// In status A: the parts are about to change.
const UPDATING: u8 = 0x80;
/// In status B: the parts are binary numbers.
const BINARY: u8 = 4;
/// In status B: hours go up to 23. Otherwise they go up to 12, and [`AFTERNOON`] is the upper half.
const WHOLE_DAY: u8 = 2;
const AFTERNOON: u8 = 0x80;

/// The parts of a date, as they are in the registers.
const PARTS: [u8; 7] = [SECONDS, MINUTES, HOURS, DAY, MONTH, YEAR, CENTURY];

/// Seconds since 1970-01-01T00:00:00Z, of a clock whose registers `register` reads. Nothing if there is no clock, or
/// it shows no date.
pub fn read(mut register: impl FnMut(u8) -> u8) -> Option<u64> {
    // An update takes two milliseconds; where there is no clock it never ends, as all bits are set.
    (0..100_000).find(|_| register(STATUS_A) & UPDATING == 0)?;
    let mut last = PARTS.map(&mut register);
    // The next update may have begun in between: what is read twice the same is whole.
    for _ in 0..10 {
        let parts = PARTS.map(&mut register);
        if parts == last {
            return since_1970(parts, register(STATUS_B));
        }
        last = parts;
    }
    None
}

fn since_1970(parts: [u8; 7], status: u8) -> Option<u64> {
    let afternoon = status & WHOLE_DAY == 0 && parts[2] & AFTERNOON != 0;
    let number = |part: u8| {
        u64::from(if status & BINARY != 0 { part } else { (part >> 4) * 10 + (part & 15) })
    };
    let [second, minute, _, day, month, year, century] = parts.map(number);
    let hour = match number(parts[2] & if afternoon { !AFTERNOON } else { 0xff }) {
        hour if status & WHOLE_DAY != 0 => hour,
        hour => hour % 12 + if afternoon { 12 } else { 0 },
    };
    // A clock without a century is one of this.
    let year = year + 100 * if (19..=21).contains(&century) { century } else { 20 };
    if second > 60 || minute > 59 || hour > 23 || !(1..=31).contains(&day) || year < 1970 {
        return None;
    }
    let before = match month {
        1 => 0,
        2 => 31,
        // Months from March on have 153 days for every five.
        3..=12 => 59 + (153 * (month - 3) + 2) / 5,
        _ => return None,
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    // Leap days of the years before, less those before 1970.
    let last = year - 1;
    let leap_days = last / 4 - last / 100 + last / 400 - 477 + u64::from(leap && month > 2);
    let days = 365 * (year - 1970) + leap_days + before + day - 1;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock of this many registers.
    fn clock(parts: [u8; 7], status: u8) -> impl FnMut(u8) -> u8 {
        move |register| match register {
            STATUS_A => 0x26,
            STATUS_B => status,
            _ => parts[PARTS.iter().position(|&part| part == register).unwrap()],
        }
    }

    #[test]
    fn dates_are_seconds() {
        let binary = |parts| read(clock(parts, BINARY | WHOLE_DAY));
        assert_eq!(binary([0, 0, 0, 1, 1, 70, 19]), Some(0));
        assert_eq!(binary([59, 59, 23, 31, 12, 99, 19]), Some(946_684_799));
        assert_eq!(binary([0, 0, 0, 29, 2, 0, 20]), Some(951_782_400));
        assert_eq!(binary([0, 0, 0, 1, 3, 0, 20]), Some(951_868_800));
        assert_eq!(binary([56, 34, 12, 28, 11, 26, 20]), Some(1_795_869_296));
        assert_eq!(binary([0, 0, 0, 1, 3, 0, 21]), Some(4_107_542_400));
        // Without a register for the century.
        assert_eq!(binary([56, 34, 12, 28, 11, 26, 0xff]), Some(1_795_869_296));
    }

    #[test]
    fn every_day_of_two_centuries_follows_the_one_before() {
        let mut next = Some(0);
        for year in 1970..2170_u32 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            for (month, days) in
                (1..).zip([31, 28 + u8::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
            {
                for day in 1..=days {
                    let parts = [0, 0, 0, day, month, (year % 100) as u8, (year / 100) as u8];
                    assert_eq!(
                        read(clock(parts, BINARY | WHOLE_DAY)),
                        next,
                        "{year}-{month}-{day}"
                    );
                    next = next.map(|seconds| seconds + 86400);
                }
            }
        }
    }

    #[test]
    fn decimal_digits_and_half_days_are_read() {
        let parts = [0x56, 0x34, 0x12, 0x28, 0x11, 0x26, 0x20];
        assert_eq!(read(clock(parts, WHOLE_DAY)), Some(1_795_869_296));
        let at = |hour| read(clock([0x56, 0x34, hour, 0x28, 0x11, 0x26, 0x20], 0));
        assert_eq!(at(0x92), Some(1_795_869_296));
        assert_eq!(at(0x12), Some(1_795_869_296 - 12 * 3600));
        assert_eq!(at(0x11 | AFTERNOON), Some(1_795_869_296 + 11 * 3600));
    }

    #[test]
    fn a_date_that_changes_is_read_again_and_no_clock_has_none() {
        // The day ends after five registers were read.
        let mut reads = 0;
        let changing = move |register| {
            if register != STATUS_A {
                reads += 1;
            }
            let parts =
                if reads > 5 { [0, 0, 0, 1, 1, 0, 20] } else { [59, 59, 23, 31, 12, 99, 19] };
            clock(parts, BINARY | WHOLE_DAY)(register)
        };
        assert_eq!(read(changing), Some(946_684_800));
        assert_eq!(read(|_| 0xff), None);
        assert_eq!(read(clock([0, 0, 0, 0, 0, 0, 0], WHOLE_DAY)), None);
        let mut busy = 0_u8;
        assert_eq!(
            read(|register| {
                busy = busy.wrapping_add(1);
                if register == STATUS_A { 0 } else { busy }
            }),
            None
        );
    }
}
