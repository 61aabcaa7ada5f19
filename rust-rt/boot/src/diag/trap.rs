//! Entry points of the CPU exceptions, and their report.
//!
//! The entry code saves all registers and describes where, in the unwind information of a signal frame, so that
//! backtraces cross the trap into the code that caused it. It returns only if the program has a handler for the
//! exception: to that.

use super::fault::{Fault, PAGE_FAULT, Parts};
use super::{backtrace, report};
use crate::memory_map::NULL_END;
use crate::{console, cpu, layout};
use core::arch::global_asm;
use core::cell::UnsafeCell;

/// What the entry code and the CPU push, from the top of the stack.
#[repr(C)]
struct TrapFrame {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rbp: u64,
    rdi: u64,
    rsi: u64,
    rdx: u64,
    rcx: u64,
    rbx: u64,
    rax: u64,
    vector: u64,
    error: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

const _: () = assert!(size_of::<TrapFrame>() == 176);
const _: () = assert!(core::mem::offset_of!(TrapFrame, rip) == 136);
const _: () = assert!(core::mem::offset_of!(TrapFrame, rsp) == 160);

global_asm!(
    // DW_CFA_expression: register `reg` was saved at rsp + offset (DW_OP_breg7). The offset is a
    // signed LEB128 number, of two bytes.
    ".macro mirust_saved reg, offset",
    ".cfi_escape 0x10, \\reg, 3, 0x77, (\\offset & 0x7f) | 0x80, \\offset >> 7",
    ".endm",
    ".text",
    ".type mirust_trap_common, @function",
    "mirust_trap_common:",
    ".cfi_startproc",
    ".cfi_signal_frame",
    "push rax",
    "push rbx",
    "push rcx",
    "push rdx",
    "push rsi",
    "push rdi",
    "push rbp",
    "push r8",
    "push r9",
    "push r10",
    "push r11",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    // The frame's address is what rsp was: DW_CFA_def_cfa_expression, *(rsp + 160).
    ".cfi_escape 0x0f, 4, 0x77, 0xa0, 0x01, 0x06",
    "mirust_saved 15, 0",
    "mirust_saved 14, 8",
    "mirust_saved 13, 16",
    "mirust_saved 12, 24",
    "mirust_saved 11, 32",
    "mirust_saved 10, 40",
    "mirust_saved 9, 48",
    "mirust_saved 8, 56",
    "mirust_saved 6, 64",
    "mirust_saved 5, 72",
    "mirust_saved 4, 80",
    "mirust_saved 1, 88",
    "mirust_saved 2, 96",
    "mirust_saved 3, 104",
    "mirust_saved 0, 112",
    "mirust_saved 16, 136",
    "cld",
    "fxsave64 [rip + {vectors}]",
    "mov rdi, rsp",
    "call mirust_trap",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop r11",
    "pop r10",
    "pop r9",
    "pop r8",
    "pop rbp",
    "pop rdi",
    "pop rsi",
    "pop rdx",
    "pop rcx",
    "pop rbx",
    "pop rax",
    "add rsp, 16",
    "iretq",
    ".cfi_endproc",
    ".size mirust_trap_common, . - mirust_trap_common",
    // One stub a vector: a zero where the CPU pushes no error code, then the vector.
    ".altmacro",
    ".macro mirust_trap_stub vector",
    ".Lmirust_trap_\\vector:",
    ".if ((1 << \\vector) & 0x60227d00) == 0",
    "push 0",
    ".endif",
    "push \\vector",
    "jmp mirust_trap_common",
    ".endm",
    ".macro mirust_trap_entry vector",
    ".quad .Lmirust_trap_\\vector",
    ".endm",
    ".set vector, 0",
    ".rept 32",
    "mirust_trap_stub %vector",
    ".set vector, vector + 1",
    ".endr",
    ".section .rodata.mirust_trap, \"a\", @progbits",
    ".balign 8",
    ".globl mirust_trap_entries",
    "mirust_trap_entries:",
    ".set vector, 0",
    ".rept 32",
    "mirust_trap_entry %vector",
    ".set vector, vector + 1",
    ".endr",
    ".noaltmacro",
    ".text",
    vectors = sym VECTORS,
);

/// What the vector registers were, as FXSAVE writes them.
#[repr(C, align(16))]
struct Vectors(UnsafeCell<[u8; 512]>);
// SAFETY: only the entry code writes to it, and an exception in the handling of another is not returned from.
unsafe impl Sync for Vectors {}
static VECTORS: Vectors = Vectors(UnsafeCell::new([0; 512]));

/// Lets a handler of the program's take the exception; true if one does.
#[cfg(feature = "libc")]
fn is_received(frame: &mut TrapFrame) -> bool {
    let Some(receive) = mirust_libc::exceptions::receiver() else { return false };
    // SAFETY: the frame is these words; it is what was interrupted, as are VECTORS, and this is another stack.
    unsafe { receive(&mut *(&raw mut *frame).cast(), VECTORS.0.get().cast(), cpu::fault_address()) }
}

/// Reports the exception and ends the domain, unless the program goes on with a handler of its own. On the exception's
/// own stack.
#[unsafe(no_mangle)]
extern "C" fn mirust_trap(frame: &mut TrapFrame) {
    #[cfg(feature = "libc")]
    if is_received(frame) {
        return;
    }
    let fault = Fault {
        vector: frame.vector,
        error: frame.error,
        address: if frame.vector == PAGE_FAULT { cpu::fault_address() } else { 0 },
        parts: Parts {
            text: layout::text(),
            rodata: layout::rodata(),
            data: layout::data(),
            guard: layout::guard(),
            thread: thread(frame.vector),
        },
    };
    let details = || {
        print_registers(frame);
        console::print(format_args!("backtrace:\n"));
        let (text, stack) = (layout::text(), layout::stack());
        if !(text.start..text.end).contains(&frame.rip) {
            // A jump to nowhere: the interesting frame is the one that made the call.
            console::print(format_args!("  called    {:#010x}\n", frame.rip));
            if (stack.start..stack.end).contains(&frame.rsp) && frame.rsp % 8 == 0 {
                // SAFETY: an aligned address in the boot stack, which is mapped.
                frame.rip = unsafe { *(frame.rsp as *const u64) };
                frame.rsp += 8;
            }
        }
        backtrace::print(frame.rip);
    };
    // C that does not look whether it got memory writes here.
    if fault.vector == PAGE_FAULT && fault.address < NULL_END {
        report::report(format_args!("{}", report::MaybeOutOfMemory(fault)), details)
    }
    report::report(format_args!("{fault}"), details)
}

/// Whose stack has overflown, if that is what the exception is.
fn thread(vector: u64) -> Option<&'static str> {
    #[cfg(feature = "libc")]
    if let (PAGE_FAULT, Some(fibers)) = (vector, mirust_libc::threads::fibers()) {
        // SAFETY: nothing runs after this report.
        return unsafe { (fibers.stack_owner)(cpu::fault_address() as usize) };
    }
    let _ = vector;
    None
}

fn print_registers(f: &TrapFrame) {
    console::print(format_args!(
        "rip {:016x} rsp {:016x} rflags {:08x} error {:x} cr2 {:x}\n\
         rax {:016x} rbx {:016x} rcx {:016x} rdx {:016x}\n\
         rsi {:016x} rdi {:016x} rbp {:016x} r8  {:016x}\n\
         r9  {:016x} r10 {:016x} r11 {:016x} r12 {:016x}\n\
         r13 {:016x} r14 {:016x} r15 {:016x}\n",
        f.rip,
        f.rsp,
        f.rflags,
        f.error,
        cpu::fault_address(),
        f.rax,
        f.rbx,
        f.rcx,
        f.rdx,
        f.rsi,
        f.rdi,
        f.rbp,
        f.r8,
        f.r9,
        f.r10,
        f.r11,
        f.r12,
        f.r13,
        f.r14,
        f.r15,
    ));
}
