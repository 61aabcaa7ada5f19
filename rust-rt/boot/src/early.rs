//! Which platform the image runs on, and output before there is a console driver.

use super::{cpu, paging::ActiveTables, qemu};
use crate::{console, end};
use mirust_mem::paging::{Frame, PageTables, Prot, VirtPage};
use mirust_xen::{early::EarlyConsole, hypercall::Xen};
use spin::{Mutex, Once};

static ON_XEN: Once<bool> = Once::new();

/// Xen's console, as it was found. Also the one of last resort, if the driver has failed.
static CONSOLE: Mutex<Option<EarlyConsole>> = Mutex::new(None);

/// Below this the entry code has mapped everything.
const MAPPED: usize = 1 << 32;

/// Looks what is below, and makes output and a proper end possible. Called first of all: whatever fails later can
/// say so, and counts as a crash. `ender` ends the domain if it is one of Xen's.
pub fn init(ender: end::Ender) {
    let hypervisor = Xen::detect();
    ON_XEN.call_once(|| hypervisor.is_some());
    console::set_early(write);
    let Some(hypervisor) = hypervisor else { return qemu::init_serial() };
    end::set_end(ender);
    if let Some(addr) = EarlyConsole::addr(hypervisor).filter(|addr| *addr < MAPPED) {
        // SAFETY: mapped by the entry code, and by `keep_console` when its tables go. Rust has no references to
        // there, because the toolstack places the page outside the domain's RAM.
        *CONSOLE.lock() = unsafe { EarlyConsole::new(hypervisor, addr) };
    }
}

/// Maps the console's page in the final page tables, which are in use now.
pub fn keep_console() {
    let Some(hypervisor) = Xen::detect() else { return };
    let mapped = EarlyConsole::addr(hypervisor)
        .is_some_and(|addr| ActiveTables.map(VirtPage(addr), Frame(addr), Prot::ReadWrite).is_ok());
    if !mapped {
        *CONSOLE.lock() = None;
    }
}

/// Waits until what was written here has been read. For the end of the domain.
pub fn drain() {
    if let Some(console) = CONSOLE.try_lock().as_deref().and_then(Option::as_ref) {
        console.drain();
    }
}

/// Whether this runs on Xen. If not, it is QEMU without Xen.
pub fn on_xen() -> bool {
    ON_XEN.get().copied().unwrap_or(false)
}

/// Output without the console driver: to the serial port, or on Xen to the console's ring. If there is none, to the
/// debug port, which a debugging hypervisor shows in its own log.
fn write(bytes: &[u8]) {
    if !on_xen() {
        return qemu::serial_write(bytes);
    }
    // Taken only if a fault interrupted this very function.
    if let Some(console) = CONSOLE.try_lock().as_deref().and_then(Option::as_ref) {
        return console.write(bytes);
    }
    for &b in bytes {
        // SAFETY: Xen's debug port (XEN_HVM_DEBUGCONS_IOPORT), which only prints.
        unsafe { cpu::outb(0xe9, b) }
    }
}
