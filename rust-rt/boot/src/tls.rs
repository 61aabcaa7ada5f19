//! Thread-local storage (x86-64 ABI, variant II).
//!
//! The link script reserves the main stack's block; threads have theirs at the top of their stacks. Variables end at
//! the thread pointer, where a small control block starts. Its first word is its own address, and the stack protector
//! of C code reads its canary at offset 0x28.

use super::{cpu, layout};

const FS_BASE: u32 = 0xc000_0100;

/// What C code expects at the thread pointer (`tcbhead_t` of glibc, as far as compilers use it).
#[repr(C)]
struct ControlBlock {
    this: *const ControlBlock,
    unused: [u64; 4],
    canary: u64,
}

const _: () = assert!(core::mem::offset_of!(ControlBlock, canary) == 0x28);

/// Fills the main stack's block and points FS at it. Called once.
pub fn init() {
    // SAFETY: the link script reserved the block for this, in zeroed memory, large enough for the
    // image and followed by room for the control block; nobody else knows of it.
    unsafe {
        fill(layout::tls_block().end, canary());
        cpu::wrmsr(FS_BASE, layout::tls_block().end);
    }
}

/// Fills the block at this thread pointer, the first time: variables that are not initialised are left
/// alone.
///
/// # Safety
///
/// There is room for the variables below the pointer, which is aligned to 64 bytes, and for the
/// control block above.
unsafe fn fill(pointer: u64, canary: u64) {
    let (image, below) = (layout::tls_image(), layout::tls_block().size());
    let block = pointer as *mut ControlBlock;
    // SAFETY: the caller's promise.
    unsafe {
        core::ptr::copy_nonoverlapping(
            image.start as *const u8,
            (pointer - below) as *mut u8,
            image.size() as usize,
        );
        block.write(ControlBlock { this: block, unused: [0; 4], canary });
    }
}

/// Bytes of variables below a thread pointer, and of the control block above.
#[cfg(feature = "libc")]
pub fn sizes() -> (usize, usize) {
    (layout::tls_block().size() as usize, size_of::<ControlBlock>().next_multiple_of(64))
}

/// Fills a thread's block. Its canary is that of all: a function may begin on one block and end on
/// another, where it switches between them.
///
/// # Safety
///
/// As of [`fill`]; nobody uses that memory.
#[cfg(feature = "libc")]
pub unsafe fn fill_another(pointer: usize) {
    let (below, _) = sizes();
    // SAFETY: the main stack's block was filled first of all, and only this thread of execution uses it.
    let canary = unsafe { (*(layout::tls_block().end as *const ControlBlock)).canary };
    // SAFETY: the caller's promise.
    unsafe {
        ((pointer - below) as *mut u8).write_bytes(0, below);
        fill(pointer as u64, canary);
    }
}

/// Points FS at the block of this thread pointer; 0 is the main stack's.
///
/// # Safety
///
/// It was filled, and the code that runs next expects the variables that are there.
#[cfg(feature = "libc")]
pub unsafe fn select(pointer: usize) {
    let base = if pointer == 0 { layout::tls_block().end } else { pointer as u64 };
    // SAFETY: the caller's promise.
    unsafe { cpu::set_fs_base(base) }
}

/// A number that nobody can guess where the CPU has random numbers, and that differs from boot to
/// boot elsewhere. Its lowest byte is 0, so that no string function reads or writes past it.
fn canary() -> u64 {
    (cpu::Generators::find().random().unwrap_or(0)
        ^ cpu::rdtsc().wrapping_mul(0x9e37_79b9_7f4a_7c15))
        & !0xff
}
