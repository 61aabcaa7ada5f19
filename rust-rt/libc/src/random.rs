//! Random bytes for hash seeds and keys.

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
