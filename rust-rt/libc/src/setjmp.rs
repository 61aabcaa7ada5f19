//! `<setjmp.h>`: jumps out of several functions at once, for programs in C.
//!
//! As in glibc, a buffer has the registers that a function keeps, and neither the floating-point environment nor the
//! signal mask, which nothing here depends on. What is jumped over is not unwound, so that only C's frames may be.

use super::asm::{asm_fn, symbol};

// rdi: the buffer.
asm_fn!("_setjmp":
    concat!(".globl ", symbol!("setjmp")),
    concat!(".globl ", symbol!("sigsetjmp")),
    concat!(".globl ", symbol!("__sigsetjmp")),
    concat!(".set ", symbol!("setjmp"), ", ", symbol!("_setjmp")),
    concat!(".set ", symbol!("sigsetjmp"), ", ", symbol!("_setjmp")),
    concat!(".set ", symbol!("__sigsetjmp"), ", ", symbol!("_setjmp")),
    "mov [rdi], rbx",
    "mov [rdi + 8], rbp",
    "mov [rdi + 16], r12",
    "mov [rdi + 24], r13",
    "mov [rdi + 32], r14",
    "mov [rdi + 40], r15",
    "lea rdx, [rsp + 8]", // as it is after the return
    "mov [rdi + 48], rdx",
    "mov rdx, [rsp]",
    "mov [rdi + 56], rdx",
    "xor eax, eax",
    "ret";
);

// rdi: the buffer, esi: what setjmp returns, 1 instead of 0.
asm_fn!("_longjmp":
    concat!(".globl ", symbol!("longjmp")),
    concat!(".globl ", symbol!("siglongjmp")),
    concat!(".globl ", symbol!("__longjmp_chk")),
    concat!(".set ", symbol!("longjmp"), ", ", symbol!("_longjmp")),
    concat!(".set ", symbol!("siglongjmp"), ", ", symbol!("_longjmp")),
    concat!(".set ", symbol!("__longjmp_chk"), ", ", symbol!("_longjmp")),
    "mov eax, esi",
    "cmp eax, 1",
    "adc eax, 0",
    "mov rbx, [rdi]",
    "mov rbp, [rdi + 8]",
    "mov r12, [rdi + 16]",
    "mov r13, [rdi + 24]",
    "mov r14, [rdi + 32]",
    "mov r15, [rdi + 40]",
    "mov rsp, [rdi + 48]",
    "jmp qword ptr [rdi + 56]";
);

#[cfg(test)]
mod tests {
    use core::ffi::c_int;

    // A function that C would have: it jumps back to itself, with registers that have changed in between. It returns
    // what setjmp did, or 0 if a register was not kept. edi: what to jump with.
    core::arch::global_asm!(
        ".globl mirust_test_jump",
        "mirust_test_jump:",
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 216", // a jmp_buf has 200 bytes
        "mov [rsp + 208], edi",
        "mov ebx, 1",
        "mov ebp, 2",
        "mov r12d, 3",
        "mov r13d, 4",
        "mov r14d, 5",
        "mov r15d, 6",
        "mov rdi, rsp",
        "call {setjmp}",
        "test eax, eax",
        "jnz 2f",
        "mov rdi, rsp",
        "mov esi, [rsp + 208]",
        "xor ebx, ebx",
        "xor ebp, ebp",
        "xor r12d, r12d",
        "xor r13d, r13d",
        "xor r14d, r14d",
        "xor r15d, r15d",
        "sub rsp, 64", // deeper than where it goes
        "call {longjmp}",
        "2:",
        "add rbx, rbp",
        "add rbx, r12",
        "add rbx, r13",
        "add rbx, r14",
        "add rbx, r15",
        "cmp rbx, 21",
        "je 3f",
        "xor eax, eax",
        "3:",
        "add rsp, 216",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
        setjmp = sym setjmp,
        longjmp = sym longjmp,
    );

    // SAFETY: the first is defined above, the others by this crate, under names that are not the host's.
    unsafe extern "C" {
        safe fn mirust_test_jump(value: c_int) -> c_int;
        #[link_name = "mirust_host_setjmp"]
        fn setjmp(buffer: *mut u8) -> c_int;
        #[link_name = "mirust_host_longjmp"]
        fn longjmp(buffer: *mut u8, value: c_int) -> !;
    }

    #[test]
    fn a_jump_keeps_registers_and_gives_a_value_that_is_not_zero() {
        assert_eq!((mirust_test_jump(7), mirust_test_jump(-1), mirust_test_jump(0)), (7, -1, 1));
    }
}
