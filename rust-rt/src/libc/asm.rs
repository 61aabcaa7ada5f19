//! Functions in assembly: their names, their sections, and trampolines for variadic C functions.

/// The name of a symbol: the C one in an image. On the host a prefix keeps it from replacing the
/// C library's function.
#[cfg(feature = "xen")]
macro_rules! symbol {
    ($name:literal) => {
        $name
    };
}
#[cfg(not(feature = "xen"))]
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
            concat!(".pushsection .text.", symbol!($name), ",\"ax\",@progbits"),
            ".p2align 5",
            concat!(".globl ", symbol!($name)),
            concat!(".type ", symbol!($name), ", @function"),
            concat!(symbol!($name), ":"),
            ".cfi_startproc",
            $($line,)*
            ".cfi_endproc",
            concat!(".size ", symbol!($name), ", . - ", symbol!($name)),
            ".popsection",
            $($operands)*
        );
    };
}
pub(super) use asm_fn;
