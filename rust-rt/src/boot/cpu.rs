//! The instructions that Rust has no other word for.

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

/// Writes `value` to I/O port `port`.
///
/// # Safety
///
/// The device behind the port must not change memory or the CPU state that Rust relies on.
pub unsafe fn outb(port: u16, value: u8) {
    // SAFETY: the caller answers for what the device does.
    unsafe {
        asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags))
    }
}

/// Reads a byte from I/O port `port`.
///
/// # Safety
///
/// As for [`outb`].
pub unsafe fn inb(port: u16) -> u8 {
    let value;
    // SAFETY: the caller answers for what the device does.
    unsafe {
        asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack, preserves_flags))
    }
    value
}

/// Writes a model-specific register.
///
/// # Safety
///
/// The register must exist, and `value` must keep what the running code relies on.
pub unsafe fn wrmsr(register: u32, value: u64) {
    // SAFETY: the caller vouches for register and value.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32,
             options(nostack, preserves_flags))
    }
}

/// Reads a model-specific register.
///
/// # Safety
///
/// The register must exist.
pub unsafe fn rdmsr(register: u32) -> u64 {
    let (lo, hi): (u32, u32);
    // SAFETY: the caller vouches that the register exists.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") lo, out("edx") hi,
             options(nostack, preserves_flags))
    }
    u64::from(hi) << 32 | u64::from(lo)
}

/// The time stamp counter.
pub fn rdtsc() -> u64 {
    // SAFETY: RDTSC is always permitted in ring 0 and touches no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Stops for ever: with interrupts off nothing ends a HLT.
pub fn halt() -> ! {
    loop {
        // SAFETY: nothing runs afterwards.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) }
    }
}
