//! The instruction SYSCALL, for programs that call the kernel past the C library, as rustix does.
//!
//! In ring 0 the instruction is a jump that leaves the return address in RCX and the flags in R11: the privilege does
//! not change, nor does the stack. The handler therefore runs on the program's stack, may block like any other
//! function, and returns by a jump. It preserves what Linux preserves: every register except RAX, RCX and R11,
//! including the vector registers, and the 128 bytes below the stack pointer, which the program may use without
//! reserving them (System V ABI, section 3.2.2).

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{cpu, descriptors};

const EFER: u32 = 0xc000_0080;
const STAR: u32 = 0xc000_0081;
const LSTAR: u32 = 0xc000_0082;
const FMASK: u32 = 0xc000_0084;

/// The flags that are down in the handler: direction, single step and alignment check. Interrupts are off
/// anyway.
const MASKED: u64 = 1 << 10 | 1 << 8 | 1 << 18;

/// Bytes of the area for the vector registers, and whether XSAVE writes it.
static AREA: AtomicUsize = AtomicUsize::new(512);
static XSAVE: AtomicBool = AtomicBool::new(false);

// SAFETY: the assembly below defines it; it is never called from Rust, only its address is used.
unsafe extern "C" {
    /// The handler.
    fn mirust_system_call();
}

/// Has the instruction lead to the handler. Called once, when the registers' states were enabled.
pub(super) fn init() {
    if cpu::cpuid(1, 0).ecx >> 27 & 1 != 0 {
        // Bytes for the states that are enabled, by the standard format.
        AREA.store(cpu::cpuid(0xd, 0).ebx as usize, Ordering::Relaxed);
        XSAVE.store(true, Ordering::Relaxed);
    }
    let handler = mirust_system_call as unsafe extern "C" fn() as usize as u64;
    // SAFETY: every x86-64 CPU has these registers. The selectors are those in use, so that the
    // instruction changes neither code nor stack segment; nothing executes it before all are set.
    unsafe {
        cpu::wrmsr(STAR, u64::from(descriptors::CODE) << 32);
        cpu::wrmsr(LSTAR, handler);
        cpu::wrmsr(FMASK, MASKED);
        cpu::wrmsr(EFER, cpu::rdmsr(EFER) | 1);
    }
}

/// Serves one call.
extern "C" fn serve(number: usize, arguments: &[usize; 6]) -> isize {
    // SAFETY: the arguments are what the program gave for this number.
    unsafe { mirust_libc::posix::system_call(number, *arguments) }
}

core::arch::global_asm!(
    ".pushsection .text.mirust_system_call,\"ax\",@progbits",
    ".globl mirust_system_call",
    ".type mirust_system_call, @function",
    "mirust_system_call:",
    ".cfi_startproc",
    ".cfi_def_cfa rsp, 0",
    ".cfi_register rip, rcx",
    // LEA leaves the flags alone.
    "lea rsp, [rsp - 128]",
    ".cfi_def_cfa_offset 128",
    "push rbp",
    ".cfi_def_cfa_offset 136",
    ".cfi_offset rbp, -136",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "push rcx",
    ".cfi_offset rip, -144",
    "push r11",
    // The arguments in their order, from the lowest address up.
    "push r9",
    "push r8",
    "push r10",
    "push rdx",
    "push rsi",
    "push rdi",
    "mov rdi, rax",
    "mov rsi, rsp",
    "sub rsp, qword ptr [rip + {area}]",
    "and rsp, -64",
    "cmp byte ptr [rip + {xsave}], 0",
    "je 2f",
    // The header has to be clean when it is restored.
    "xor eax, eax",
    "mov qword ptr [rsp + 512], rax",
    "mov qword ptr [rsp + 520], rax",
    "mov qword ptr [rsp + 528], rax",
    "mov qword ptr [rsp + 536], rax",
    "mov qword ptr [rsp + 544], rax",
    "mov qword ptr [rsp + 552], rax",
    "mov qword ptr [rsp + 560], rax",
    "mov qword ptr [rsp + 568], rax",
    "mov eax, -1",
    "mov edx, -1",
    "xsave64 [rsp]",
    "jmp 3f",
    "2:",
    "fxsave64 [rsp]",
    "3:",
    "call {serve}",
    "cmp byte ptr [rip + {xsave}], 0",
    "je 4f",
    "mov r8, rax",
    "mov eax, -1",
    "mov edx, -1",
    "xrstor64 [rsp]",
    "mov rax, r8",
    "jmp 5f",
    "4:",
    "fxrstor64 [rsp]",
    "5:",
    "lea rsp, [rbp - 64]",
    "pop rdi",
    "pop rsi",
    "pop rdx",
    "pop r10",
    "pop r8",
    "pop r9",
    "popfq",
    "pop rcx",
    ".cfi_register rip, rcx",
    "pop rbp",
    ".cfi_restore rbp",
    ".cfi_def_cfa rsp, 128",
    "lea rsp, [rsp + 128]",
    ".cfi_def_cfa_offset 0",
    "jmp rcx",
    ".cfi_endproc",
    ".size mirust_system_call, . - mirust_system_call",
    ".popsection",
    area = sym AREA,
    xsave = sym XSAVE,
    serve = sym serve,
);
