//! From the PVH entry point to Rust.
//!
//! The loader enters in 32-bit protected mode with paging off and `ebx` holding the physical address of `start_info`
//! (Xen, docs/misc/pvh). On the way to [`super::rust_entry`], an identity map of the low 4 GiB, in 2 MiB pages, is
//! enough: Xen and QEMU put `start_info` and all it points to there. Interrupts are off, and stay off.

use core::arch::global_asm;

global_asm!(
    // The note that makes the image bootable: XEN_ELFNOTE_PHYS32_ENTRY (xen/elfnote.h). QEMU
    // reads the descriptor as a size_t, so it is 8 bytes long.
    ".section .note.Xen, \"a\", @note",
    ".balign 4",
    ".globl mirust_note",
    "mirust_note:",
    ".long 4, 8, 18",
    ".asciz \"Xen\"",
    ".quad mirust_start",
    "",
    ".section .text.mirust_boot, \"ax\", @progbits",
    ".code32",
    ".globl mirust_start",
    ".type mirust_start, @function",
    "mirust_start:",
    "cli",
    "cld",
    "movl %ebx, %esi", // start_info; cpuid would destroy ebx
    // PML4[0] -> PDPT, PDPT[0..4] -> the directories, each entry of which maps 2 MiB.
    "movl $early_pdpt + 3, early_pml4",
    "movl $early_directories + 3, %eax",
    "movl $early_pdpt, %edi",
    "movl $4, %ecx",
    "1: movl %eax, (%edi)",
    "addl $4096, %eax",
    "addl $8, %edi",
    "loop 1b",
    "movl $0x83, %eax", // present, writable, 2 MiB
    "movl $early_directories, %edi",
    "movl $2048, %ecx",
    "2: movl %eax, (%edi)",
    "addl $0x200000, %eax",
    "addl $8, %edi",
    "loop 2b",
    // CR4: PAE, and OSFXSR and OSXMMEXCPT because compiled Rust uses SSE.
    "movl $0x620, %eax",
    "movl %eax, %cr4",
    "movl $early_pml4, %eax",
    "movl %eax, %cr3",
    "movl $0xc0000080, %ecx", // EFER.LME
    "rdmsr",
    "orl $0x100, %eax",
    "wrmsr",
    // CR0: PG, WP, NE, ET, MP, PE; not EM, not TS.
    "movl $0x80010033, %eax",
    "movl %eax, %cr0",
    "lgdt early_gdt_pointer",
    "ljmp $8, $mirust_start64",
    "",
    ".code64",
    ".type mirust_start64, @function",
    "mirust_start64:",
    ".cfi_startproc",
    ".cfi_undefined rip", // the outermost frame of every backtrace
    "movl $16, %eax",
    "movl %eax, %ds",
    "movl %eax, %es",
    "movl %eax, %ss",
    "xorl %eax, %eax",
    "movl %eax, %fs",
    "movl %eax, %gs",
    "fninit",
    "movq $__stack_top, %rsp",
    "xorl %ebp, %ebp",
    "movl %esi, %edi",
    "call mirust_rust_entry",
    "ud2",
    ".cfi_endproc",
    ".size mirust_start64, . - mirust_start64",
    "",
    ".section .rodata.mirust_boot, \"a\", @progbits",
    ".balign 8",
    "early_gdt:",
    ".quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff", // null, 64-bit code, data
    "early_gdt_pointer:",
    ".word 23",
    ".long early_gdt",
    "",
    ".section .bss.mirust_boot, \"aw\", @nobits",
    ".balign 4096",
    "early_pml4: .skip 4096",
    "early_pdpt: .skip 4096",
    "early_directories: .skip 4 * 4096",
    "",
    ".text",
    options(att_syntax)
);
