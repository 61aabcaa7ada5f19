//! What is below, and a place for output before there is a console.

use super::{cpu, qemu};
use crate::console;
use mirust_xen::cpuid::hypervisor_leaf;
use spin::Once;

static ON_XEN: Once<bool> = Once::new();

/// Looks what is below, and makes output possible. Called first of all.
pub fn init() {
    ON_XEN.call_once(|| hypervisor_leaf(b"XenVMMXenVMM").is_some());
    if !on_xen() {
        qemu::init_serial();
    }
    console::set_early(write);
}

/// Whether a Xen is below. If not, it is QEMU alone.
pub fn on_xen() -> bool {
    ON_XEN.get().copied().unwrap_or(false)
}

/// Output before the console driver: to the serial port, or under Xen to the debug port, which a
/// debugging hypervisor shows in its own log.
fn write(bytes: &[u8]) {
    if !on_xen() {
        return qemu::serial_write(bytes);
    }
    for &b in bytes {
        // SAFETY: Xen's debug port (XEN_HVM_DEBUGCONS_IOPORT), which only prints.
        unsafe { cpu::outb(0xe9, b) }
    }
}
