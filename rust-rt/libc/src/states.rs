//! The states of the vector registers, as handlers of signals find them in memory, and how much room those need.

use core::sync::atomic::{AtomicBool, Ordering};

/// Bytes of what lies below the states: the context, the information, and the return address.
pub(super) const FRAME: usize = 1104;

/// Whether XSAVE knows the states of vector registers, rather than FXSAVE.
pub(super) static XSAVE: AtomicBool = AtomicBool::new(false);

/// The least bytes of a stack for handlers: what is written there, and 2 KiB for the handler.
pub(super) fn least_stack() -> usize {
    states_size() + FRAME + 2048
}

/// How many bytes the states of the vector registers take.
#[allow(unused_unsafe, reason = "newer compilers know that every x86-64 CPU has the instruction")]
pub(super) fn states_size() -> usize {
    // SAFETY: as that says.
    unsafe {
        if core::arch::x86_64::__cpuid(1).ecx >> 27 & 1 == 0 {
            return 512;
        }
        XSAVE.store(true, Ordering::Relaxed);
        core::arch::x86_64::__cpuid_count(0xd, 0).ebx as usize
    }
}

/// Writes the states to memory: of those that FXSAVE has saved as they were then, of others as they are, since nothing
/// here uses them.
///
/// # Safety
///
/// `vectors` is what FXSAVE has written; `to` is a multiple of 64, with room for [`states_size`] bytes.
pub(super) unsafe fn save_states(vectors: *const u8, to: *mut u8) {
    // SAFETY: as the caller says.
    unsafe {
        if !XSAVE.load(Ordering::Relaxed) {
            to.copy_from_nonoverlapping(vectors, 512);
            return;
        }
        // The header has to be clean when it is restored.
        to.add(512).write_bytes(0, 64);
        core::arch::asm!(
            "fxrstor64 [{vectors}]",
            "xsave64 [{to}]",
            vectors = in(reg) vectors, to = in(reg) to, in("eax") -1, in("edx") -1,
            clobber_abi("C"),
        );
    }
}
