//! The page that Xen shares with the domain: event bits and time (`struct shared_info` in `xen.h`).

use super::abi::{self, shared_info, vcpu_info, vcpu_time_info};
use crate::{shared::SharedPage, wire::Port};
use core::{
    mem::offset_of,
    sync::atomic::{Ordering, fence},
};

/// Words of pending bits, and of mask bits.
pub const WORDS: usize = size_of::<[abi::xen_ulong_t; 64]>() / 8;
/// Ports that a domain can have with two-level event channels.
pub const PORTS: usize = WORDS * 64;

const PENDING: usize = offset_of!(shared_info, evtchn_pending);
const MASK: usize = offset_of!(shared_info, evtchn_mask);
// Those of vCPU 0, the only one.
const UPCALL: usize =
    offset_of!(shared_info, vcpu_info) + offset_of!(vcpu_info, evtchn_upcall_pending);
const SELECTOR: usize =
    offset_of!(shared_info, vcpu_info) + offset_of!(vcpu_info, evtchn_pending_sel);
const TIME: usize = offset_of!(shared_info, vcpu_info) + offset_of!(vcpu_info, time);
const WC_VERSION: usize = offset_of!(shared_info, wc_version);
const WC_SEC: usize = offset_of!(shared_info, wc_sec);
const WC_NSEC: usize = offset_of!(shared_info, wc_nsec);
const WC_SEC_HI: usize = offset_of!(shared_info, wc_sec_hi);

/// System time at one value of the time stamp counter, and the speed of the counter
/// (`struct vcpu_time_info` in `xen.h`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VcpuTime {
    /// The counter at `system_time`.
    pub tsc_timestamp: u64,
    /// ns since the host booted.
    pub system_time: u64,
    /// ns per (shifted) tick, as a fraction of 2³².
    pub mul: u32,
    /// How far to shift the ticks before: to the left if positive.
    pub shift: i8,
}

impl VcpuTime {
    /// System time when the counter has the value `tsc`. A counter behind the timestamp counts as
    /// being at it.
    ///
    /// A domain's counter starts at zero with the domain, but Xen's last calibration, which the
    /// timestamp is of, can be up to a second older: it then has a negative number in 64 bits.
    pub fn at(&self, tsc: u64) -> u64 {
        let ticks = (tsc.wrapping_sub(self.tsc_timestamp) as i64).max(0) as u128;
        // 64 bits of ticks shifted up to 31 to the left and multiplied by 32 bits need 127 bits.
        let shifted = match self.shift.clamp(-64, 31) {
            left @ 0.. => ticks << left,
            right => ticks >> right.unsigned_abs(),
        };
        let nanos = (shifted * u128::from(self.mul)) >> 32;
        self.system_time.saturating_add(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// The wall clock at system time zero, since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WallClock {
    /// Seconds.
    pub seconds: u64,
    /// Nanoseconds on top of the seconds; Xen keeps it below 10⁹.
    pub nanos: u32,
}

/// The shared_info page. Xen writes it at any moment.
#[derive(Debug)]
pub struct SharedInfo {
    page: SharedPage,
}

impl SharedInfo {
    /// Reads and writes the structure in `page`.
    pub fn new(page: SharedPage) -> Self {
        assert!(page.len() >= size_of::<shared_info>());
        SharedInfo { page }
    }

    /// Where the page is.
    pub fn addr(&self) -> usize {
        self.page.addr()
    }

    /// Takes the selector: a bit for each word of pending bits that needs a look. Events that come
    /// from now on set it again.
    pub fn take_selector(&self) -> u64 {
        if self.page.load_u64(SELECTOR) == 0 {
            return 0; // spares the locked instruction on every idle turn
        }
        // The upcall flag is never waited for: interrupts are off and SCHEDOP_poll looks at the
        // pending bits. It is cleared to keep Xen's view tidy, and before the selector, so that an
        // event in between sets both again.
        self.page.store_u8(UPCALL, 0);
        self.page.swap_u64(SELECTOR, 0)
    }

    /// Takes the pending and unmasked bits of one word.
    pub fn take_pending(&self, word: usize) -> u64 {
        let active = self.page.load_u64(PENDING + 8 * word) & !self.page.load_u64(MASK + 8 * word);
        if active != 0 {
            self.page.fetch_and_u64(PENDING + 8 * word, !active);
        }
        active
    }

    /// Takes the pending bit of one port, masked or not.
    pub fn take_port(&self, port: Port) -> bool {
        let (word, bit) = Self::bit(port);
        self.page.fetch_and_u64(PENDING + word, !bit) & bit != 0
    }

    /// Whether an event of the port is pending, masked or not.
    pub fn is_pending(&self, port: Port) -> bool {
        let (word, bit) = Self::bit(port);
        self.page.load_u64(PENDING + word) & bit != 0
    }

    /// Makes an event of the port pending, as Xen would.
    pub fn raise(&self, port: Port) {
        let (word, bit) = Self::bit(port);
        self.page.fetch_or_u64(PENDING + word, bit);
        self.page.fetch_or_u64(SELECTOR, 1 << (word / 8));
    }

    /// Stops events of the port from being reported; they stay pending.
    pub fn mask(&self, port: Port) {
        let (word, bit) = Self::bit(port);
        self.page.fetch_or_u64(MASK + word, bit);
    }

    /// Masks every port.
    pub fn mask_all(&self) {
        for word in 0..WORDS {
            self.page.store_u64(MASK + 8 * word, u64::MAX);
        }
    }

    /// Reports events of the port, also those that came while it was masked.
    pub fn unmask(&self, port: Port) {
        let (word, bit) = Self::bit(port);
        self.page.fetch_and_u64(MASK + word, !bit);
        // While the port was masked Xen set the pending bit but not the selector. After the line
        // above it sets both, so that either Xen or we set it for an event in between; twice is
        // harmless.
        if self.page.load_u64(PENDING + word) & bit != 0 {
            self.page.fetch_or_u64(SELECTOR, 1 << (word / 8));
        }
    }

    /// Reads when and how fast the CPU's time stamp counter runs. Xen makes the version odd while
    /// it writes.
    pub fn time(&self) -> VcpuTime {
        self.consistent(TIME + offset_of!(vcpu_time_info, version), |page| {
            // The multiplier, the shift and the flags in one load of 8 bytes.
            let scale = page.load_u64(TIME + offset_of!(vcpu_time_info, tsc_to_system_mul));
            VcpuTime {
                tsc_timestamp: page.load_u64(TIME + offset_of!(vcpu_time_info, tsc_timestamp)),
                system_time: page.load_u64(TIME + offset_of!(vcpu_time_info, system_time)),
                mul: scale as u32,
                shift: (scale >> 32) as i8,
            }
        })
    }

    /// Reads the wall clock at system time zero.
    pub fn wall_clock(&self) -> WallClock {
        self.consistent(WC_VERSION, |page| WallClock {
            seconds: u64::from(page.load_u32(WC_SEC)) | u64::from(page.load_u32(WC_SEC_HI)) << 32,
            nanos: page.load_u32(WC_NSEC),
        })
    }

    fn consistent<T>(&self, version: usize, read: impl Fn(&SharedPage) -> T) -> T {
        loop {
            let before = self.page.load_u32(version);
            let value = read(&self.page);
            // The loads above stay above this one.
            fence(Ordering::Acquire);
            if before % 2 == 0 && self.page.load_u32(version) == before {
                return value;
            }
            core::hint::spin_loop();
        }
    }

    /// Byte offset of the port's word in a bit array, and its bit in that word.
    fn bit(port: Port) -> (usize, u64) {
        assert!((port.0 as usize) < PORTS, "no such port: {port}");
        (8 * (port.0 as usize / 64), 1 << (port.0 % 64))
    }
}

const _: () = {
    assert!(WORDS == 64 && MASK - PENDING == 8 * WORDS);
    // `time` takes both from one word.
    assert!(
        offset_of!(vcpu_time_info, tsc_shift) == offset_of!(vcpu_time_info, tsc_to_system_mul) + 4
    );
};

#[cfg(test)]
mod tests {
    use super::*;

    const NANOS_PER_SEC: u64 = 1_000_000_000;

    const AT: VcpuTime =
        VcpuTime { tsc_timestamp: 1000, system_time: 5_000, mul: 1 << 31, shift: 0 };

    #[test]
    fn half_a_nanosecond_per_tick() {
        assert_eq!(AT.at(1000), 5_000);
        assert_eq!(AT.at(1001), 5_000);
        assert_eq!(AT.at(1002), 5_001);
        assert_eq!(AT.at(3000), 6_000);
    }

    #[test]
    fn shift_goes_both_ways() {
        assert_eq!(VcpuTime { shift: 1, ..AT }.at(1003), 5_003);
        assert_eq!(VcpuTime { shift: -1, ..AT }.at(1004), 5_001);
        assert_eq!(VcpuTime { shift: -1, ..AT }.at(1003), 5_000);
    }

    #[test]
    fn real_scale_is_exact() {
        // 2.4 GHz: 1/2.4 ns per tick, as Xen writes it: mul = 2^32 / 2.4 * 2 with shift -1.
        let time = VcpuTime { tsc_timestamp: 0, system_time: 0, mul: 3_579_139_413, shift: -1 };
        // One year of ticks.
        let tsc = 2_400_000_000u64 * 86_400 * 365;
        let exact = (u128::from(tsc >> 1) * 3_579_139_413) >> 32;
        assert_eq!(u128::from(time.at(tsc)), exact);
        // Off by less than a millisecond over that year: the rounding of the multiplier.
        assert!(time.at(tsc).abs_diff(86_400 * 365 * NANOS_PER_SEC) < 10_000_000);
    }

    #[test]
    fn counter_behind_the_timestamp_does_not_wrap() {
        assert_eq!(AT.at(999), 5_000);
        assert_eq!(AT.at(0), 5_000);
    }

    #[test]
    fn timestamp_from_before_the_counters_zero() {
        let time = VcpuTime { tsc_timestamp: 0u64.wrapping_sub(1000), ..AT };
        assert_eq!(time.at(0), 5_500);
        assert_eq!(time.at(1000), 6_000);
    }

    #[test]
    fn absurd_scales_saturate() {
        let time = VcpuTime { tsc_timestamp: 0, system_time: 1, mul: u32::MAX, shift: 127 };
        assert_eq!(time.at(1 << 62), u64::MAX);
        assert_eq!(VcpuTime { shift: -128, ..time }.at(u64::MAX), 1);
    }
}
