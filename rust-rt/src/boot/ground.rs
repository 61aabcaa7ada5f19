//! Connects the runtime to what the image stands on: Xen, or QEMU's bare machine.

use super::bare::BareMachine;
use super::paging::ActiveTables;
use super::{clock, end};
#[cfg(feature = "libc")]
use crate::mem;
use crate::platform::Platform;
use crate::xen::hypercall::Xen;
use crate::xen::hypervisor::EndReason;
use crate::{diag, domain, xen};

/// Clocks, poll, console, log, and how the domain ends. There is a heap already.
pub(super) fn init() {
    let platform: &'static dyn Platform = match Xen::detect() {
        Some(hypervisor) => {
            end::set_end(end_on_xen);
            match xen::init(hypervisor, &mut ActiveTables) {
                Ok(platform) => platform,
                Err(error) => diag::fatal(format_args!("cannot boot: {error}")),
            }
        }
        None => {
            clock::calibrate();
            &BareMachine
        }
    };
    domain::init(platform);
    diag::log::set_clock(monotonic_ns);
    diag::log::init(log::LevelFilter::Info);
    #[cfg(feature = "libc")]
    crate::libc::host::set(&HOST);
    xen::spawn_drivers();
}

fn monotonic_ns() -> u64 {
    domain::now().as_nanos()
}

fn end_on_xen(how: end::End) -> ! {
    let reason = match how {
        end::End::PowerOff => EndReason::Poweroff,
        end::End::Reboot => EndReason::Reboot,
        end::End::Crash => EndReason::Crash,
    };
    if xen::present() {
        xen::end(reason)
    }
    match Xen::detect() {
        Some(hypervisor) => xen::sched::end(hypervisor, reason),
        None => super::cpu::halt(),
    }
}

/// Rust aborts after a panic that cannot be caught, and when memory is exhausted: the report should
/// name that.
#[cfg(feature = "libc")]
fn abort(reason: &str) -> ! {
    if let Some(panic) = diag::last_panic() {
        diag::fatal(format_args!("{reason}; the last panic was: {panic}"));
    }
    let heap = mem::stats().heap;
    if heap.failures > 0 {
        let size = heap.last_failure;
        diag::fatal(format_args!("{reason}; an allocation of {size} bytes had failed"));
    }
    diag::fatal(format_args!("{reason}"))
}

/// What the C symbols need.
#[cfg(feature = "libc")]
static HOST: crate::libc::host::Host = crate::libc::host::Host {
    console_write: diag::console::write,
    exit: end::exit,
    abort,
    monotonic_ns,
    wall_ns: || domain::wall().as_nanos() as u64,
    random: crate::libc::random::fill_from_cpu,
};
