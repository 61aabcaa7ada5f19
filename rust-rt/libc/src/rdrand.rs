//! The CPU's random numbers: RDSEED, or else RDRAND.

use core::arch::x86_64::{__cpuid, __cpuid_count};

/// Intel's guide to RDRAND bounds the retries by ten; RDSEED runs dry more often.
const TRIES: usize = 128;

/// Fills the buffer from the CPU's generator; false when it has none, or when that fails for good.
/// The default of [`Host::random`](crate::host::Host::random), for boot to use as well.
pub fn fill_from_cpu(buf: &mut [u8]) -> bool {
    let Some(word) = generator() else { return false };
    buf.chunks_mut(8).all(|chunk| {
        // Some CPUs are known to answer "success" with constant words after a resume.
        let word = (0..TRIES).find_map(|_| word().filter(|&w| w != 0 && w != u64::MAX));
        word.is_some_and(|word| {
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
            true
        })
    })
}

fn generator() -> Option<fn() -> Option<u64>> {
    // CPUID.7.0:EBX.RDSEED[18] and CPUID.1:ECX.RDRAND[30].
    // SAFETY: every x86-64 CPU has CPUID with leaves 0 and 1; leaf 7 is asked for only when the
    // CPU says that it exists. (Newer compilers declare these intrinsics safe.)
    #[allow(unused_unsafe)]
    let (seed, rand) = unsafe {
        let last = __cpuid(0).eax;
        (last >= 7 && __cpuid_count(7, 0).ebx & 1 << 18 != 0, __cpuid(1).ecx & 1 << 30 != 0)
    };
    match (seed, rand) {
        (true, _) => Some(rdseed),
        (false, true) => Some(rdrand),
        (false, false) => None,
    }
}

fn rdseed() -> Option<u64> {
    let (word, ok): (u64, u8);
    // SAFETY: `generator` found the instruction; it writes its operand and the flags only.
    unsafe {
        core::arch::asm!("rdseed {w}", "setc {ok}", w = out(reg) word, ok = out(reg_byte) ok,
            options(nomem, nostack));
    }
    // PAUSE between attempts is what Intel asks for.
    if ok == 0 {
        core::hint::spin_loop();
    }
    (ok != 0).then_some(word)
}

fn rdrand() -> Option<u64> {
    let (word, ok): (u64, u8);
    // SAFETY: as in `rdseed`.
    unsafe {
        core::arch::asm!("rdrand {w}", "setc {ok}", w = out(reg) word, ok = out(reg_byte) ok,
            options(nomem, nostack));
    }
    (ok != 0).then_some(word)
}
