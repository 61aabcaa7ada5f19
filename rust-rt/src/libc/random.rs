//! Random bytes for hash seeds and keys: RDSEED, or else RDRAND.

use super::errno::{self, EFAULT, EIO};
use super::host;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::ffi::{c_int, c_uint, c_void};

/// Intel's guide to RDRAND bounds the retries by ten; RDSEED runs dry more often.
const TRIES: usize = 128;

/// Fills the buffer from the CPU's generator; false when it has none, or when that fails for good.
/// The default of [`Host::random`](host::Host::random), for boot to use as well.
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

/// At most 256 bytes, or EIO; EIO too when the CPU has no generator.
#[cfg_attr(feature = "xen", unsafe(no_mangle))]
unsafe extern "C" fn getentropy(buf: *mut c_void, len: usize) -> c_int {
    if len > 256 {
        return errno::fail(EIO);
    }
    // SAFETY: the caller's contract is the one of `getrandom`.
    if unsafe { getrandom(buf, len, 0) } < 0 { errno::fail(EIO) } else { 0 }
}

/// Never short, whatever the flags. EIO when the CPU has no generator.
#[cfg_attr(feature = "xen", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn getrandom(buf: *mut c_void, len: usize, _flags: c_uint) -> isize {
    if buf.is_null() && len != 0 {
        return errno::fail(EFAULT) as isize;
    }
    if len == 0 {
        return 0;
    }
    // SAFETY: the caller owns `len` bytes at `buf`; zeroing them first makes a slice of them valid.
    let buf = unsafe {
        buf.write_bytes(0, len);
        core::slice::from_raw_parts_mut(buf.cast::<u8>(), len)
    };
    if (host::get().random)(buf) { len as isize } else { errno::fail(EIO) as isize }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_an_odd_buffer_is_random() {
        let mut seen = [0u8; 13];
        for _ in 0..64 {
            let mut buf = [0u8; 13];
            // SAFETY: the buffer is as long as said.
            assert_eq!(unsafe { getentropy(buf.as_mut_ptr().cast(), 13) }, 0);
            seen.iter_mut().zip(buf).for_each(|(s, b)| *s |= b);
        }
        assert_eq!(seen, [0xff; 13]);
    }

    #[test]
    fn more_than_256_bytes_are_refused() {
        let mut buf = [0u8; 257];
        // SAFETY: the buffer is as long as said.
        assert_eq!(unsafe { getentropy(buf.as_mut_ptr().cast(), 257) }, -1);
        assert_eq!(errno::get(), EIO);
    }
}
