//! Instructions for which Rust has no function.

use core::arch::asm;

pub use mirust_xen::cpuid::cpuid;

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

/// Whether [`set_fs_base`] may use the instruction: asked once, when the first thread starts.
#[cfg(feature = "libc")]
static FSGSBASE: core::sync::atomic::AtomicBool = core::sync::atomic::AtomicBool::new(false);

/// Has [`set_fs_base`] be an instruction instead of a write to a register that takes several times as
/// long, where the CPU has one.
#[cfg(feature = "libc")]
pub fn enable_fsgsbase() {
    if cpuid(0, 0).eax < 7 || cpuid(7, 0).ebx & 1 == 0 {
        return;
    }
    // SAFETY: CPUID says that the bit of CR4 (Intel SDM, volume 3, 2.5) exists.
    unsafe {
        asm!("mov {t}, cr4", "or {t}, 0x10000", "mov cr4, {t}", t = out(reg) _, options(nomem, nostack));
    }
    FSGSBASE.store(true, core::sync::atomic::Ordering::Relaxed);
}

/// Sets the base of FS.
///
/// # Safety
///
/// Thread-local storage is there, as the code that runs next expects it.
#[cfg(feature = "libc")]
#[inline]
pub unsafe fn set_fs_base(base: u64) {
    const FS_BASE: u32 = 0xc000_0100;
    // SAFETY: the caller's promise; the instruction was enabled if the flag says so.
    unsafe {
        if FSGSBASE.load(core::sync::atomic::Ordering::Relaxed) {
            asm!("wrfsbase {}", in(reg) base, options(nostack, preserves_flags));
        } else {
            wrmsr(FS_BASE, base);
        }
    }
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

/// Attempts at a random number. Intel's guide bounds those of RDRAND by ten; RDSEED runs dry more often.
const ATTEMPTS: usize = 128;

/// The CPU's generators of random numbers. Detecting them takes CPUID, which is an exit: keep this to draw many
/// numbers.
#[derive(Clone, Copy)]
pub struct Generators {
    random: bool,
    seed: bool,
}

macro_rules! draw {
    ($instruction:literal, $exists:expr) => {{
        if !$exists {
            return None;
        }
        for _ in 0..ATTEMPTS {
            let (value, ok): (u64, u8);
            // SAFETY: CPUID says that the instruction exists; it writes its operand and the flags only.
            unsafe {
                asm!(concat!($instruction, " {}"), "setc {}", out(reg) value, out(reg_byte) ok,
                     options(nomem, nostack));
            }
            // Some CPUs are known to answer "success" with constant words after a resume.
            if ok != 0 && value != 0 && value != u64::MAX {
                return Some(value);
            }
            core::hint::spin_loop();
        }
        None
    }};
}

impl Generators {
    /// What this CPU has.
    pub fn find() -> Generators {
        let random = cpuid(1, 0).ecx >> 30 & 1 != 0;
        Generators { random, seed: cpuid(0, 0).eax >= 7 && cpuid(7, 0).ebx >> 18 & 1 != 0 }
    }

    /// A random number of the CPU's generator, if it has one.
    pub fn random(self) -> Option<u64> {
        draw!("rdrand", self.random)
    }

    /// A random number straight from the CPU's source of noise, if it has one.
    pub fn seed(self) -> Option<u64> {
        draw!("rdseed", self.seed)
    }
}

/// CR2: the address of the last page fault.
pub fn fault_address() -> u64 {
    let value;
    // SAFETY: reading CR2 changes nothing.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nomem, nostack, preserves_flags)) }
    value
}

/// Enables what compiled code may find in CPUID: the register states of AVX and later, which need
/// the operating system's consent, and page protection by the no-execute bit. False when the CPU
/// has no such bit.
pub fn enable_features() -> bool {
    const EFER: u32 = 0xc000_0080;
    if cpuid(0x8000_0001, 0).edx >> 20 & 1 == 0 {
        return false;
    }
    // SAFETY: EFER.NXE (bit 11) exists, as CPUID has just said; no page table uses it yet.
    unsafe { wrmsr(EFER, rdmsr(EFER) | 1 << 11) };
    if cpuid(1, 0).ecx >> 26 & 1 != 0 {
        // x87, SSE, AVX, and the three parts of AVX-512, which only work together.
        let supported = cpuid(0xd, 0).eax;
        let mut states = supported & 0b111;
        if supported & 0xe0 == 0xe0 {
            states |= 0xe0;
        }
        // SAFETY: CPUID says that XSAVE exists and which states do; no state is in use yet.
        unsafe {
            asm!(
                "mov {t}, cr4", "or {t}, 0x40000", "mov cr4, {t}", "xsetbv",
                t = out(reg) _, in("ecx") 0, in("eax") states, in("edx") 0,
                options(nomem, nostack)
            );
        }
    }
    let default = 0x1f80u32;
    // SAFETY: the reset value: every floating-point exception masked, as both languages expect.
    unsafe { asm!("ldmxcsr [{}]", in(reg) &default, options(nostack, readonly)) };
    true
}

/// Switches to the page tables at `root`.
///
/// # Safety
///
/// They must map the running code, its stack and its data.
pub unsafe fn set_page_tables(root: u64) {
    // SAFETY: passed on to our caller.
    unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) }
}

/// Forgets the cached translation of the page at `address`.
pub fn flush_page(address: usize) {
    // SAFETY: the instruction only makes the CPU look at the page tables again.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) }
}
