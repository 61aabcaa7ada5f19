//! Random bytes for hash seeds and keys.

use super::die::die;
use super::errno::{self, EFAULT, EIO};
use super::host;
use core::ffi::{c_int, c_uint, c_void};

/// At most 256 bytes, or EIO; EIO too when the CPU has no generator.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(super) unsafe extern "C" fn getentropy(buf: *mut c_void, len: usize) -> c_int {
    if len > 256 {
        return errno::fail(EIO);
    }
    // SAFETY: the caller's contract is the one of `getrandom`.
    if unsafe { getrandom(buf, len, 0) } < 0 { errno::fail(EIO) } else { 0 }
}

/// Never short, whatever the flags. EIO when the CPU has no generator.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
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

/// Ends the domain where there are no random numbers: it cannot fail.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn arc4random_buf(buf: *mut c_void, len: usize) {
    // SAFETY: the contract is the same.
    if unsafe { getrandom(buf, len, 0) } < 0 {
        die(format_args!("arc4random: this CPU has no random numbers"));
    }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn arc4random() -> c_uint {
    let mut number = [0u8; 4];
    // SAFETY: the buffer has four bytes.
    unsafe { arc4random_buf(number.as_mut_ptr().cast(), number.len()) };
    c_uint::from_ne_bytes(number)
}

/// Each number below the bound is as likely as the others.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn arc4random_uniform(bound: c_uint) -> c_uint {
    if bound < 2 {
        return 0;
    }
    // Numbers below this one would make small results more likely.
    let first = bound.wrapping_neg() % bound;
    loop {
        let number = arc4random();
        if number >= first {
            return number % bound;
        }
    }
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
    fn numbers_below_a_bound_all_come() {
        let mut seen = [false; 5];
        while seen != [true; 5] {
            seen[arc4random_uniform(5) as usize] = true;
        }
        assert_eq!((arc4random_uniform(0), arc4random_uniform(1)), (0, 0));
        let (mut or, mut long) = (0, [0u8; 1000]);
        (0..64).for_each(|_| or |= arc4random());
        // SAFETY: the buffer is as long as said.
        unsafe { arc4random_buf(long.as_mut_ptr().cast(), 1000) };
        assert_eq!((or, long[500..].iter().any(|&byte| byte != 0)), (u32::MAX, true));
    }

    #[test]
    fn more_than_256_bytes_are_refused() {
        let mut buf = [0u8; 257];
        // SAFETY: the buffer is as long as said.
        assert_eq!(unsafe { getentropy(buf.as_mut_ptr().cast(), 257) }, -1);
        assert_eq!(errno::get(), EIO);
    }
}
