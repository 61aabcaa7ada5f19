//! The switch from one stack to another.
//!
//! It saves what a function has to preserve in the System V ABI: six registers, and the control words of both
//! floating-point units. The compiler assumes that a call destroys everything else.

use core::arch::global_asm;

/// Where a stack is left and entered again: its stack pointer, below which nothing is alive.
pub(crate) type Context = *mut u8;

global_asm!(
    // In a section of its own, so that an image without threads has none of it.
    ".pushsection .text.mirust_fiber, \"ax\", @progbits",
    ".balign 16",
    ".globl mirust_fiber_switch",
    ".hidden mirust_fiber_switch",
    ".type mirust_fiber_switch, @function",
    "mirust_fiber_switch:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_adjust_cfa_offset 8",
    "push rbx",
    ".cfi_adjust_cfa_offset 8",
    "push r12",
    ".cfi_adjust_cfa_offset 8",
    "push r13",
    ".cfi_adjust_cfa_offset 8",
    "push r14",
    ".cfi_adjust_cfa_offset 8",
    "push r15",
    ".cfi_adjust_cfa_offset 8",
    "sub rsp, 8",
    ".cfi_adjust_cfa_offset 8",
    "stmxcsr [rsp]",
    "fnstcw [rsp + 4]",
    "mov [rdi], rsp",
    // The other stack has the same frame here, so the unwind information stays true.
    "mov rsp, rsi",
    "ldmxcsr [rsp]",
    "fldcw [rsp + 4]",
    "add rsp, 8",
    ".cfi_adjust_cfa_offset -8",
    "pop r15",
    ".cfi_adjust_cfa_offset -8",
    "pop r14",
    ".cfi_adjust_cfa_offset -8",
    "pop r13",
    ".cfi_adjust_cfa_offset -8",
    "pop r12",
    ".cfi_adjust_cfa_offset -8",
    "pop rbx",
    ".cfi_adjust_cfa_offset -8",
    "pop rbp",
    ".cfi_adjust_cfa_offset -8",
    "ret",
    ".cfi_endproc",
    ".size mirust_fiber_switch, . - mirust_fiber_switch",
    // The outermost frame of a thread. Its caller is said to be unknown: unwinder and backtraces stop
    // here, and find nothing else.
    ".globl mirust_fiber_entry",
    ".hidden mirust_fiber_entry",
    ".type mirust_fiber_entry, @function",
    "mirust_fiber_entry:",
    ".cfi_startproc",
    ".cfi_undefined rip",
    "mov rdi, r12",
    "call r13",
    "ud2",
    ".cfi_endproc",
    ".size mirust_fiber_entry, . - mirust_fiber_entry",
    ".popsection",
);

// SAFETY: the assembly above defines both. It keeps the registers that C's convention wants kept.
unsafe extern "C" {
    fn mirust_fiber_switch(from: *mut Context, to: Context);
    fn mirust_fiber_entry();
}

/// Leaves this stack at `from`, and goes on where `to` was left. Returns when somebody switches back to
/// what is stored in `from`.
///
/// # Safety
///
/// `to` comes from [`prepare`] or from a switch that left that stack, and was not entered since; its
/// stack is mapped. `from` is writable.
#[inline]
pub(crate) unsafe fn switch(from: *mut Context, to: Context) {
    // SAFETY: the caller's promise; the assembly keeps what a C function has to keep.
    unsafe { mirust_fiber_switch(from, to) }
}

/// What a switch finds on a stack.
#[repr(C)]
struct Frame {
    mxcsr: u32,
    x87: u32,
    r15: usize,
    r14: usize,
    r13: usize,
    r12: usize,
    rbx: usize,
    rbp: usize,
    rip: usize,
}

const _: () = assert!(size_of::<Frame>() == 64);

/// The floating-point units' state after a reset, which both languages expect.
const MXCSR: u32 = 0x1f80;
const X87: u32 = 0x37f;

/// Makes the stack that ends at `top` one that a switch can enter: it then calls `run` with
/// `argument`, on an empty stack. `run` must not return.
///
/// # Safety
///
/// `top` is 16-byte aligned, and there are 64 writable bytes below it that nobody uses.
pub(crate) unsafe fn prepare(
    top: *mut u8,
    run: extern "C" fn(*const ()) -> !,
    argument: *const (),
) -> Context {
    debug_assert!(top.addr() % 16 == 0);
    // SAFETY: inside the stack, as the caller promises.
    unsafe {
        let frame = top.sub(size_of::<Frame>()).cast::<Frame>();
        frame.write(Frame {
            mxcsr: MXCSR,
            x87: X87,
            r15: 0,
            r14: 0,
            r13: run as usize,
            r12: argument.expose_provenance(),
            rbx: 0,
            rbp: 0,
            rip: mirust_fiber_entry as *const () as usize,
        });
        frame.cast()
    }
}
