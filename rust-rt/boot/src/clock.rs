//! Time from the time stamp counter, for an image on QEMU without Xen. Under Xen, pvclock replaces it.

use super::cpu::{cpuid, inb, outb, rdtsc};
use super::rtc;
use core::sync::atomic::{AtomicU64, Ordering};

/// The counter's value at boot.
static START: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds a tick, as a fixed-point number with 32 bits below the point. Zero: not known yet.
static SCALE: AtomicU64 = AtomicU64::new(0);
/// The wall clock at [`init`], in nanoseconds since 1970; zero if nothing told it.
static DATE: AtomicU64 = AtomicU64::new(0);

/// Starts the clock at 0. Until [`calibrate`] it stands still.
pub fn init() {
    START.store(rdtsc(), Ordering::Relaxed);
}

/// Nanoseconds since [`init`].
pub fn monotonic_ns() -> u64 {
    let ticks = rdtsc().wrapping_sub(START.load(Ordering::Relaxed));
    ((u128::from(ticks) * u128::from(SCALE.load(Ordering::Relaxed))) >> 32) as u64
}

/// Nanoseconds since 1970-01-01T00:00:00Z, good to a second.
pub fn wall_ns() -> u64 {
    DATE.load(Ordering::Relaxed) + monotonic_ns()
}

/// Finds out how fast the counter runs: from CPUID where that says it, else in 10 ms against the
/// PIT. Not under Xen, which emulates the PIT too loosely. Finds out what the date is, too.
pub fn calibrate() {
    let hz = hz_from_cpuid().unwrap_or_else(hz_from_pit);
    SCALE.store((1_000_000_000 << 32) / hz.max(1_000_000), Ordering::Relaxed);
    let date = rtc::read(|register| {
        // SAFETY: the ports of the clock: the first chooses a register, and the second reads it.
        unsafe {
            outb(0x70, register);
            inb(0x71)
        }
    });
    let date = date.map_or(0, |seconds| seconds * 1_000_000_000);
    DATE.store(date.saturating_sub(monotonic_ns()), Ordering::Relaxed);
}

fn hz_from_cpuid() -> Option<u64> {
    if cpuid(0, 0).eax < 0x15 {
        return None;
    }
    let ratio = cpuid(0x15, 0);
    if ratio.eax == 0 || ratio.ebx == 0 || ratio.ecx == 0 {
        return None;
    }
    Some(u64::from(ratio.ecx) * u64::from(ratio.ebx) / u64::from(ratio.eax))
}

/// Counts ticks while channel 2 of the PIT counts down from 11932 at 1.193182 MHz: 10 ms.
fn hz_from_pit() -> u64 {
    const COUNT: u16 = 11932;
    // SAFETY: the ports of the PIT and of the gate of its channel 2, which only drive the speaker;
    // mode 0 raises bit 5 of port 0x61 at the end. The loop is bounded, should there be no PIT.
    unsafe {
        outb(0x61, inb(0x61) & !2 | 1);
        outb(0x43, 0xb0);
        outb(0x42, COUNT as u8);
        outb(0x42, (COUNT >> 8) as u8);
        let start = rdtsc();
        for _ in 0..10_000_000 {
            if inb(0x61) & 0x20 != 0 {
                break;
            }
        }
        (rdtsc() - start) * 100
    }
}
