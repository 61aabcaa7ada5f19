//! The order in which an image comes up.

use super::qemu;

unsafe extern "C" {
    fn mirust_main() -> i32;
}

/// Called once by the entry code, on the boot stack, with interrupts off.
#[unsafe(no_mangle)]
extern "C" fn mirust_rust_entry(_start_info: u32) -> ! {
    qemu::init_serial();
    crate::diag::console::write(b"mirust: booting\n");
    // SAFETY: the link provides exactly one mirust_main of this type.
    let status = unsafe { mirust_main() };
    exit(status)
}

/// Ends the domain: powered off when `status` is zero, else crashed after a last console line
/// `exit status N`.
pub fn exit(status: i32) -> ! {
    if status != 0 {
        crate::diag::console::print(format_args!("exit status {status}\n"));
    }
    qemu::exit(status)
}
