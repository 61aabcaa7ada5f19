//! How a domain ends.

use super::qemu;
use crate::console;
use core::sync::atomic::{AtomicPtr, Ordering};
use mirust_executor::domain;
use mirust_executor::shutdown::ShutdownReason;

/// The ways to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Done: the toolstack follows `on_poweroff`.
    PowerOff,
    /// Start again: `on_reboot`.
    Reboot,
    /// Failed: `on_crash`.
    Crash,
}

/// Ends the domain; called at most once, possibly by an exception handler.
pub type Ender = fn(End) -> !;

static ENDER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Sets how the domain ends on Xen: boot does so first of all. Without Xen it ends as QEMU does: by the
/// isa-debug-exit device, or by a triple fault (which Xen would take for a request to start again).
pub fn set_end(ender: Ender) {
    ENDER.store(ender as *mut (), Ordering::Release);
}

/// Ends the domain with the status of its `main`. When that is 0 the domain does what it was asked
/// for last: it starts again if that was a reboot, else it is powered off. Another status is a crash,
/// after the console line `exit status N`. As on other systems, a status has eight bits.
pub fn exit(status: i32) -> ! {
    ::log::logger().flush();
    let status = status & 0xff;
    if status == 0 {
        let reboot =
            domain::is_set_up() && domain::shutdown_reason() == Some(ShutdownReason::Reboot);
        end(if reboot { End::Reboot } else { End::PowerOff }, 0);
    }
    console::print(format_args!("exit status {status}\n"));
    end(End::Crash, status)
}

/// Ends the domain as crashed. The caller has said why.
pub fn crash() -> ! {
    /// What QEMU's debug exit reports of a crash: the same as an exit status of 101, Rust's own
    /// after a panic.
    const STATUS: i32 = 101;
    end(End::Crash, STATUS)
}

fn end(how: End, status: i32) -> ! {
    let ender = ENDER.load(Ordering::Acquire);
    if !ender.is_null() {
        // SAFETY: the only non-null value ever stored is an `Ender`, by `set_end`.
        let ender = unsafe { core::mem::transmute::<*mut (), Ender>(ender) };
        ender(how)
    }
    qemu::exit(status)
}
