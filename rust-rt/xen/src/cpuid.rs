//! What the CPU, and through it the hypervisor, says about itself.

use core::arch::asm;

/// Registers that CPUID leaf `leaf`, subleaf `sub` returns.
pub struct Cpuid {
    /// EAX.
    pub eax: u32,
    /// EBX.
    pub ebx: u32,
    /// ECX.
    pub ecx: u32,
    /// EDX.
    pub edx: u32,
}

/// Executes CPUID.
pub fn cpuid(leaf: u32, sub: u32) -> Cpuid {
    let (eax, ebx, ecx, edx): (u32, u64, u32, u32);
    // SAFETY: CPUID reads only eax and ecx and exists on every 64-bit CPU; rbx, which LLVM keeps
    // for itself, is put back.
    unsafe {
        asm!(
            "mov {b}, rbx", "cpuid", "xchg {b}, rbx",
            b = out(reg) ebx, inout("eax") leaf => eax, inout("ecx") sub => ecx, out("edx") edx,
            options(nostack, preserves_flags)
        );
    }
    Cpuid { eax, ebx: ebx as u32, ecx, edx }
}

/// CPUID leaf of the hypervisor whose signature is `signature`, if the image runs under it.
/// Xen's leaves move up by 0x100 when it imitates another hypervisor (xen/arch-x86/cpuid.h).
pub fn hypervisor_leaf(signature: &[u8; 12]) -> Option<u32> {
    if cpuid(1, 0).ecx >> 31 & 1 == 0 {
        return None;
    }
    (0x4000_0000..0x4001_0000).step_by(0x100).find(|&leaf| {
        let id = cpuid(leaf, 0);
        let words = [id.ebx, id.ecx, id.edx].map(u32::to_le_bytes);
        words.as_flattened() == signature
    })
}
