//! Memory that someone else can write at any moment: another domain, Xen, a daemon.
//!
//! This is the only module that dereferences pointers into such memory. It hands out copies, never
//! a `&[u8]` or a `&mut T`: a reference would promise the compiler that the bytes stand still, and
//! would let a value that was checked change before it is used. What comes out of here is an
//! allegation until the caller has checked its copy.

use core::{
    mem::MaybeUninit,
    ptr::NonNull,
    sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering},
};

/// A run of shared memory, usually a page.
///
/// Offsets are in bytes from its start. An offset or a length outside it, or a misaligned word,
/// is our own mistake and panics; no value that a peer wrote may be used as one unchecked.
///
/// Loads have acquire and stores have release ordering, which on x86 costs nothing: what was
/// written before an index is visible to a peer that has read that index.
#[derive(Debug)]
pub struct SharedPage {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: every access is an atomic or a copy that tolerates concurrent writers.
unsafe impl Send for SharedPage {}
// SAFETY: as above.
unsafe impl Sync for SharedPage {}

// One access each, after checks that mostly fall away: inlined although the crate is compiled for its size.
macro_rules! word {
    ($load:ident, $store:ident, $int:ty, $atomic:ty) => {
        #[doc = concat!("Reads the `", stringify!($int), "` at `offset`.")]
        #[inline(always)]
        pub fn $load(&self, offset: usize) -> $int {
            self.atomic::<$atomic>(offset).load(Ordering::Acquire)
        }

        #[doc = concat!("Writes the `", stringify!($int), "` at `offset`.")]
        #[inline(always)]
        pub fn $store(&self, offset: usize, value: $int) {
            self.atomic::<$atomic>(offset).store(value, Ordering::Release)
        }
    };
}

/// The integers that may be accessed in place.
///
/// # Safety
///
/// The type must be an atomic integer: any bit pattern is a value and concurrent writes are fine.
unsafe trait Atomic {}
// SAFETY: an atomic integer.
unsafe impl Atomic for AtomicU8 {}
// SAFETY: an atomic integer.
unsafe impl Atomic for AtomicU16 {}
// SAFETY: an atomic integer.
unsafe impl Atomic for AtomicU32 {}
// SAFETY: an atomic integer.
unsafe impl Atomic for AtomicU64 {}

impl SharedPage {
    /// The `len` bytes at `base`.
    ///
    /// # Safety
    ///
    /// The memory must be mapped readable and writable until the value is dropped, `base` must be
    /// aligned to 8, and nothing may hold a Rust reference to these bytes, other than to atomics.
    pub unsafe fn new(base: NonNull<u8>, len: usize) -> Self {
        assert!(base.as_ptr() as usize % 8 == 0, "shared memory is not aligned");
        SharedPage { base, len }
    }

    /// Size in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the run has no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The address of the first byte, for hypercalls and page tables only.
    pub fn addr(&self) -> usize {
        self.base.as_ptr() as usize
    }

    word!(load_u8, store_u8, u8, AtomicU8);
    word!(load_u16, store_u16, u16, AtomicU16);
    word!(load_u32, store_u32, u32, AtomicU32);
    word!(load_u64, store_u64, u64, AtomicU64);

    /// Replaces the `u64` at `offset` and returns what was there.
    #[inline(always)]
    pub fn swap_u64(&self, offset: usize, value: u64) -> u64 {
        self.atomic::<AtomicU64>(offset).swap(value, Ordering::AcqRel)
    }

    /// Sets `bits` in the `u64` at `offset` and returns what was there.
    #[inline(always)]
    pub fn fetch_or_u64(&self, offset: usize, bits: u64) -> u64 {
        self.atomic::<AtomicU64>(offset).fetch_or(bits, Ordering::AcqRel)
    }

    /// Keeps only `bits` of the `u64` at `offset` and returns what was there.
    #[inline(always)]
    pub fn fetch_and_u64(&self, offset: usize, bits: u64) -> u64 {
        self.atomic::<AtomicU64>(offset).fetch_and(bits, Ordering::AcqRel)
    }

    /// Replaces the `u16` at `offset` if it still is `current`; otherwise returns what it is.
    #[inline(always)]
    pub fn compare_exchange_u16(&self, offset: usize, current: u16, new: u16) -> Result<(), u16> {
        self.atomic::<AtomicU16>(offset)
            .compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
    }

    /// Copies the bytes from `offset` on into `out`. The copy may mix old and new bytes when the
    /// peer writes meanwhile; an index that was read before tells what the peer has finished.
    pub fn read(&self, offset: usize, out: &mut [u8]) {
        if Self::is_short(offset, out.len()) {
            for (i, word) in out.chunks_exact_mut(4).enumerate() {
                word.copy_from_slice(&self.load_u32(offset + 4 * i).to_ne_bytes());
            }
            return;
        }
        let from = self.at(offset, out.len());
        // SAFETY: `at` has checked the source, `out` is exclusive, so they cannot overlap.
        unsafe { copy(from.as_ptr(), out.as_mut_ptr(), out.len()) }
    }

    /// Like [`read`](Self::read), into memory that need not be initialised before.
    pub fn read_uninit(&self, offset: usize, out: &mut [MaybeUninit<u8>]) {
        let from = self.at(offset, out.len());
        // SAFETY: `at` has checked the source, `out` is exclusive, so they cannot overlap.
        unsafe { copy(from.as_ptr(), out.as_mut_ptr().cast(), out.len()) }
    }

    /// Copies `bytes` to the memory from `offset` on.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        if Self::is_short(offset, bytes.len()) {
            for (i, word) in bytes.chunks_exact(4).enumerate() {
                let word = u32::from_ne_bytes([word[0], word[1], word[2], word[3]]);
                self.store_u32(offset + 4 * i, word);
            }
            return;
        }
        let to = self.at(offset, bytes.len());
        // SAFETY: `at` has checked the destination; no Rust reference covers it, so `bytes` does not
        // overlap it.
        unsafe { copy(bytes.as_ptr(), to.as_ptr(), bytes.len()) }
    }

    /// Sets every byte to zero.
    pub fn clear(&self) {
        for offset in (0..self.len / 8).map(|i| 8 * i) {
            self.store_u64(offset, 0);
        }
    }

    /// Whether a copy is of a few aligned words, like the messages of a ring: starting a string
    /// instruction would take longer.
    #[inline(always)]
    fn is_short(offset: usize, len: usize) -> bool {
        len <= 32 && (offset | len) % 4 == 0
    }

    #[inline(always)]
    fn at(&self, offset: usize, len: usize) -> NonNull<u8> {
        let end = offset.checked_add(len).expect("shared offset overflows");
        assert!(end <= self.len, "shared access outside of the page");
        // SAFETY: `offset` is at most `self.len`, so the result stays inside the mapping.
        unsafe { self.base.add(offset) }
    }

    #[inline(always)]
    fn atomic<A: Atomic>(&self, offset: usize) -> &A {
        let at = self.at(offset, size_of::<A>());
        assert!(offset % size_of::<A>() == 0, "misaligned shared word");
        // SAFETY: in bounds (`at`), aligned (`base` is, to 8, and the offset was checked), mapped
        // for as long as `self` lives, and an atomic allows concurrent writers.
        unsafe { at.cast::<A>().as_ref() }
    }
}

/// Copies `len` bytes of which either side may be changing.
///
/// `core::ptr::copy` would let the compiler assume that nobody else writes. Inline assembly is
/// opaque to it, and the string instructions are what the CPU's microcode makes fast.
///
/// # Safety
///
/// `from` must be readable and `to` writable for `len` bytes, and they must not overlap.
#[cfg(all(target_arch = "x86_64", not(miri)))]
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the caller vouches for both ranges; the direction flag is clear by the ABI.
    unsafe {
        core::arch::asm!(
            "rep movsq",
            "mov ecx, {tail:e}",
            "rep movsb",
            tail = in(reg) len % 8,
            inout("rcx") len / 8 => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags),
        )
    }
}

/// The same copy in terms that the abstract machine knows.
///
/// # Safety
///
/// As above.
#[cfg(any(not(target_arch = "x86_64"), miri))]
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    for i in 0..len {
        // SAFETY: the caller vouches for both ranges; a volatile access is done once.
        unsafe { to.add(i).write_volatile(from.add(i).read_volatile()) }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::shared_page;

    #[test]
    fn words_and_bytes_are_the_same_memory() {
        let (page, peer) = shared_page();
        page.store_u32(8, 0x0403_0201);
        let mut bytes = [0; 6];
        peer.read(7, &mut bytes);
        assert_eq!(bytes, [0, 1, 2, 3, 4, 0]);
        peer.write(8, &[9]);
        assert_eq!(page.load_u64(8), 0x0403_0209);
        assert_eq!(page.swap_u64(8, 5), 0x0403_0209);
        assert_eq!(page.fetch_or_u64(8, 2), 5);
        assert_eq!(page.fetch_and_u64(8, !1), 7);
        assert_eq!(page.compare_exchange_u16(8, 7, 1), Err(6));
        assert_eq!(page.compare_exchange_u16(8, 6, 1), Ok(()));
        page.clear();
        assert_eq!(peer.load_u64(8), 0);
    }

    #[test]
    fn copies_of_every_length_and_offset_are_whole() {
        let (page, peer) = shared_page();
        let bytes: [u8; 100] = core::array::from_fn(|i| i as u8 + 1);
        for len in 0..=100 {
            for offset in 0..9 {
                peer.clear();
                page.write(64 + offset, &bytes[..len]);
                let mut out = [0xff; 120];
                peer.read(64, &mut out);
                assert!(out[..offset].iter().chain(&out[offset + len..]).all(|b| *b == 0));
                assert_eq!(out[offset..offset + len], bytes[..len]);
            }
        }
    }

    #[test]
    #[should_panic(expected = "outside of the page")]
    fn access_past_the_end_panics() {
        shared_page().0.read(4090, &mut [0; 7]);
    }

    #[test]
    #[should_panic(expected = "overflows")]
    fn offset_that_wraps_panics() {
        shared_page().0.read(usize::MAX, &mut [0; 7]);
    }

    #[test]
    #[should_panic(expected = "misaligned")]
    fn misaligned_word_panics() {
        shared_page().0.load_u32(2);
    }
}
