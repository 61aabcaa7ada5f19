//! C's view of the heap: `malloc` and its kin.
//!
//! Failure is a null pointer and `errno`, never an abort: OCaml's runtime makes it `Out_of_memory`.

use core::ffi::c_int;
use core::ptr::{self, NonNull};

use mirust_mem::heap::{Heap, MIN_ALIGN};

use super::errno;

/// The block for C, or null and `ENOMEM`.
fn answer(block: Option<NonNull<u8>>) -> *mut u8 {
    block.map_or_else(
        || {
            errno::set(errno::ENOMEM);
            ptr::null_mut()
        },
        NonNull::as_ptr,
    )
}

/// `size` bytes with unspecified contents.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn malloc(size: usize) -> *mut u8 {
    answer(Heap.alloc(size, MIN_ALIGN))
}

/// `count` elements of `size` bytes, full of zeroes.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn calloc(count: usize, size: usize) -> *mut u8 {
    answer(count.checked_mul(size).and_then(|size| Heap.alloc_zeroed(size, MIN_ALIGN)))
}

/// Frees a block, or nothing if it is null. Leaves `errno` alone.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn free(block: *mut u8) {
    if let Some(block) = NonNull::new(block) {
        // SAFETY: the caller gives up a block of this heap.
        unsafe { Heap.free(block) }
    }
}

/// Resizes a block, or allocates one if it is null. A `size` of 0 gives an empty block, which
/// must be freed like any other.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn realloc(block: *mut u8, size: usize) -> *mut u8 {
    match NonNull::new(block) {
        // SAFETY: the caller's block is of this heap, and C promises no alignment beyond this.
        Some(block) => answer(unsafe { Heap.realloc(block, size, MIN_ALIGN) }),
        None => malloc(size),
    }
}

/// [`realloc`] to `count` elements of `size` bytes.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn reallocarray(block: *mut u8, count: usize, size: usize) -> *mut u8 {
    match count.checked_mul(size) {
        // SAFETY: passed on to our caller.
        Some(size) => unsafe { realloc(block, size) },
        None => answer(None),
    }
}

/// `size` bytes at a multiple of `align`, a power of two; otherwise null and `EINVAL`.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn memalign(align: usize, size: usize) -> *mut u8 {
    if !align.is_power_of_two() {
        errno::set(errno::EINVAL);
        return ptr::null_mut();
    }
    answer(Heap.alloc(size, align.max(MIN_ALIGN)))
}

/// As [`memalign`]. The size need not be a multiple of the alignment.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut u8 {
    memalign(align, size)
}

/// Stores a block of `size` bytes at a multiple of `align`, a power of two that is at least the
/// size of a pointer. Returns 0, `EINVAL` or `ENOMEM`; on failure nothing is stored.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn posix_memalign(out: *mut *mut u8, align: usize, size: usize) -> c_int {
    if !align.is_power_of_two() || align < size_of::<*mut u8>() {
        return errno::EINVAL;
    }
    match Heap.alloc(size, align.max(MIN_ALIGN)) {
        Some(block) => {
            // SAFETY: the caller owns the place for the answer.
            unsafe { *out = block.as_ptr() };
            0
        }
        None => errno::ENOMEM,
    }
}

/// Bytes that may be used of a block, at least as many as it was allocated with; 0 for null.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn malloc_usable_size(block: *mut u8) -> usize {
    // SAFETY: the caller's block is of this heap.
    NonNull::new(block).map_or(0, |block| unsafe { Heap.usable_size(block) })
}

/// Gives back what the heap has and does not use. Whether there was anything.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn malloc_trim(_keep: usize) -> c_int {
    Heap.trim().into()
}

/// Takes the advice, and makes nothing of it.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn mallopt(_option: c_int, _value: c_int) -> c_int {
    1
}

/// `struct mallinfo2`: bytes from the system, …, of which the eighth are in use, and the ninth are not.
#[repr(C)]
struct Info([usize; 10]);

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn mallinfo2() -> Info {
    let stats = Heap.stats().unwrap_or_default();
    let (all, used) = (stats.from_system, stats.in_use);
    Info([all, 0, 0, 0, 0, 0, 0, used, all.saturating_sub(used), 0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use mirust_mem::fake;

    #[test]
    fn blocks_are_allocated_resized_and_freed() {
        fake::init_global();
        // SAFETY: each block is used while it is allocated, within its size.
        unsafe {
            let block = malloc(10);
            block.write_bytes(9, malloc_usable_size(block));
            let block = realloc(block, 300_000);
            assert_eq!(block.add(9).read(), 9);
            let block = reallocarray(block, 5, 2);
            assert_eq!(block.add(9).read(), 9);
            free(block);
            let block = realloc(ptr::null_mut(), 0);
            assert!(!block.is_null());
            free(block);
            free(ptr::null_mut());
            assert_eq!(malloc_usable_size(ptr::null_mut()), 0);
        }
    }

    #[test]
    fn calloc_clears_used_memory() {
        fake::init_global();
        for size in [100, 300_000] {
            // SAFETY: as above.
            unsafe {
                let block = malloc(size);
                block.write_bytes(0xFF, size);
                free(block);
                let block = calloc(size, 1);
                assert!((0..size).all(|i| block.add(i).read() == 0));
                free(block);
            }
        }
    }

    #[test]
    fn failures_set_errno() {
        fake::init_global();
        let failed = |block: *mut u8| {
            assert!(block.is_null());
            let errno = errno::get();
            errno::set(0);
            errno
        };
        assert_eq!(failed(malloc(1 << 40)), errno::ENOMEM);
        assert_eq!(failed(calloc(1 << 32, 1 << 32)), errno::ENOMEM);
        assert_eq!(failed(memalign(24, 1)), errno::EINVAL);
        assert_eq!(failed(aligned_alloc(0, 1)), errno::EINVAL);
        // SAFETY: as above.
        unsafe {
            let block = malloc(8);
            assert_eq!(failed(reallocarray(block, 1 << 32, 1 << 32)), errno::ENOMEM);
            assert_eq!(failed(realloc(block, usize::MAX)), errno::ENOMEM);
            free(block);
        }
    }

    #[test]
    fn posix_memalign_returns_its_error() {
        fake::init_global();
        let mut out = ptr::dangling_mut();
        errno::set(0);
        // SAFETY: the place for the answer is ours, and the block is allocated here.
        unsafe {
            assert_eq!(posix_memalign(&mut out, 4, 8), errno::EINVAL);
            assert_eq!(posix_memalign(&mut out, 48, 8), errno::EINVAL);
            assert_eq!(posix_memalign(&mut out, 64, 1 << 40), errno::ENOMEM);
            assert_eq!(out, ptr::dangling_mut());
            assert_eq!(posix_memalign(&mut out, 8192, 10), 0);
            assert_eq!(out.addr() % 8192, 0);
            free(out);
        }
        assert_eq!(errno::get(), 0);
    }
}
