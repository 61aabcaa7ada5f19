//! Functions in assembly: their names, their sections, and trampolines for variadic C functions.

/// The name of a symbol: the C one in an image. On the host a prefix keeps it from replacing the
/// C library's function.
#[cfg(feature = "symbols")]
macro_rules! symbol {
    ($name:literal) => {
        $name
    };
}
#[cfg(not(feature = "symbols"))]
macro_rules! symbol {
    ($name:literal) => {
        concat!("mirust_host_", $name)
    };
}
pub(super) use symbol;

/// Defines a global function with a section of its own, so that the linker can drop it.
/// `asm_fn!("name": "instruction", ...; operand = ...)`.
macro_rules! asm_fn {
    ($name:literal: $($line:expr),* ; $($operands:tt)*) => {
        core::arch::global_asm!(
            concat!(".pushsection .text.", $crate::asm::symbol!($name), ",\"ax\",@progbits"),
            ".p2align 5",
            concat!(".globl ", $crate::asm::symbol!($name)),
            concat!(".type ", $crate::asm::symbol!($name), ", @function"),
            concat!($crate::asm::symbol!($name), ":"),
            ".cfi_startproc",
            $($line,)*
            ".cfi_endproc",
            concat!(".size ", $crate::asm::symbol!($name), ", . - ", $crate::asm::symbol!($name)),
            ".popsection",
            $($operands)*
        );
    };
}
pub(super) use asm_fn;

/// The `va_list` of the System V ABI (section 3.5.7), which C passes by its address.
#[repr(C)]
pub(super) struct VaList {
    gp_offset: u32,
    fp_offset: u32,
    overflow_arg_area: *const u8,
    reg_save_area: *const u8,
}

const _: () = assert!(size_of::<VaList>() == 24);

/// Six general registers, then eight vector registers of 16 bytes.
const GP_END: u32 = 48;
const FP_END: u32 = 176;

impl VaList {
    /// The next integer or pointer argument. The upper half of an `int` is undefined.
    ///
    /// # Safety
    ///
    /// The list was started by a variadic function, and its next argument is an integer or pointer.
    pub(super) unsafe fn integer(&mut self) -> u64 {
        // SAFETY: below GP_END the register is in the save area, by the ABI; else the argument is
        // in the overflow area, where every one of this class takes 8 bytes.
        unsafe {
            if self.gp_offset < GP_END {
                let value = self.reg_save_area.add(self.gp_offset as usize).cast::<u64>().read();
                self.gp_offset += 8;
                value
            } else {
                let value = self.overflow_arg_area.cast::<u64>().read();
                self.overflow_arg_area = self.overflow_arg_area.add(8);
                value
            }
        }
    }

    /// The next `double` argument.
    ///
    /// # Safety
    ///
    /// The list was started by a variadic function, and its next argument is a `double`.
    pub(super) unsafe fn double(&mut self) -> f64 {
        // SAFETY: as in `integer`, with 16 bytes for each vector register.
        unsafe {
            if self.fp_offset < FP_END {
                let value = self.reg_save_area.add(self.fp_offset as usize).cast::<f64>().read();
                self.fp_offset += 16;
                value
            } else {
                let value = self.overflow_arg_area.cast::<f64>().read();
                self.overflow_arg_area = self.overflow_arg_area.add(8);
                value
            }
        }
    }

    /// The next `long double` argument, rounded to a `double`.
    ///
    /// # Safety
    ///
    /// The list was started by a variadic function, and its next argument is a `long double`.
    pub(super) unsafe fn long_double(&mut self) -> f64 {
        // Class X87: always in the overflow area, 16 bytes aligned to 16.
        let at = self.overflow_arg_area.map_addr(|at| at.next_multiple_of(16));
        self.overflow_arg_area = at.wrapping_add(16);
        let mut value = 0f64;
        // SAFETY: `at` holds the argument; the x87 stack is empty between functions, and is again
        // after the pop.
        unsafe {
            core::arch::asm!("fld tbyte ptr [{from}]", "fstp qword ptr [{to}]",
                from = in(reg) at, to = in(reg) &raw mut value, options(nostack));
        }
        value
    }
}

/// Defines a variadic C function: `variadic!("name", n => inner)` saves the argument registers,
/// starts a `va_list` behind the `n` fixed arguments (integers or pointers), and passes `inner`
/// these and, in register `list`, the address of the list. Stable Rust has no variadic definitions.
macro_rules! variadic {
    ($name:literal, 1 => $inner:path) => { variadic!($name, 8, "rsi", $inner); };
    ($name:literal, 2 => $inner:path) => { variadic!($name, 16, "rdx", $inner); };
    ($name:literal, 3 => $inner:path) => { variadic!($name, 24, "rcx", $inner); };
    ($name:literal, 4 => $inner:path) => { variadic!($name, 32, "r8", $inner); };
    ($name:literal, 5 => $inner:path) => { variadic!($name, 40, "r9", $inner); };
    ($name:literal, $gp_offset:literal, $list:literal, $inner:path) => {
        $crate::asm::asm_fn!($name:
            // 24 bytes of va_list, 8 of padding, 176 of save area, 8 to align the stack.
            "sub rsp, 216",
            ".cfi_adjust_cfa_offset 216",
            "mov [rsp + 32], rdi",
            "mov [rsp + 40], rsi",
            "mov [rsp + 48], rdx",
            "mov [rsp + 56], rcx",
            "mov [rsp + 64], r8",
            "mov [rsp + 72], r9",
            "test al, al", // how many vector registers the caller used, at most
            "je 2f",
            "movaps [rsp + 80], xmm0",
            "movaps [rsp + 96], xmm1",
            "movaps [rsp + 112], xmm2",
            "movaps [rsp + 128], xmm3",
            "movaps [rsp + 144], xmm4",
            "movaps [rsp + 160], xmm5",
            "movaps [rsp + 176], xmm6",
            "movaps [rsp + 192], xmm7",
            "2:",
            concat!("mov dword ptr [rsp], ", $gp_offset),
            "mov dword ptr [rsp + 4], 48",
            "lea rax, [rsp + 224]", // behind the return address
            "mov [rsp + 8], rax",
            "lea rax, [rsp + 32]",
            "mov [rsp + 16], rax",
            concat!("mov ", $list, ", rsp"),
            "call {inner}",
            "add rsp, 216",
            ".cfi_adjust_cfa_offset -216",
            "ret";
            inner = sym $inner,
        );
    };
}
pub(super) use variadic;
