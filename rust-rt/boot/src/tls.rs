//! Thread-local storage of the only thread (x86-64 ABI, variant II).
//!
//! The link script reserves the block: variables end at the thread pointer, and a small control
//! block starts there. Its first word is its own address, and the stack protector of C code reads
//! its canary at offset 0x28.

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

/// Fills the block and points FS at it. Called once.
pub fn init() {
    let (image, block) = (layout::tls_image(), layout::tls_block());
    let pointer = block.end as *mut ControlBlock;
    // SAFETY: the link script reserved the block for this, in zeroed memory, large enough for the
    // image and followed by room for the control block; nobody else knows of it.
    unsafe {
        core::ptr::copy_nonoverlapping(
            image.start as *const u8,
            block.start as *mut u8,
            image.size() as usize,
        );
        pointer.write(ControlBlock { this: pointer, unused: [0; 4], canary: canary() });
        cpu::wrmsr(FS_BASE, block.end);
    }
}

/// A number that nobody can guess where the CPU has random numbers, and that differs from boot to
/// boot elsewhere. Its lowest byte is 0, so that no string function reads or writes past it.
fn canary() -> u64 {
    (cpu::random().unwrap_or(0) ^ cpu::rdtsc().wrapping_mul(0x9e37_79b9_7f4a_7c15)) & !0xff
}
