//! Connects the runtime to the platform below it: Xen, or QEMU's bare machine.

use super::bare::BareMachine;
use super::paging::ActiveTables;
use super::{clock, console, cpu, diag, early, end, entropy, log};
use alloc::{boxed::Box, vec::Vec};
use core::ops::Range;
use mirust_executor::domain;
use mirust_executor::owned::Owned;
use mirust_executor::platform::Platform;
use mirust_xen as xen;
use mirust_xen::hypercall::Xen;
use mirust_xen::hypervisor::EndReason;

/// The platform of the domain's poll, once [`init`] has detected it.
static PLATFORM: Owned<&'static dyn Platform> = Owned::new();

mirust_executor::platform!(
    *PLATFORM.get_or_init(|| panic!("the domain was used before boot code set it up"))
);

/// Clocks, poll, console, log, and how the domain ends. There is a heap already. `holes` and `beyond` are the RAM that
/// the domain may get later: see [`xen::spawn_drivers`].
pub(super) fn init(command_line: &[u8], holes: Vec<Range<usize>>, beyond: usize) {
    let platform: &'static dyn Platform = match Xen::detect() {
        // A box of nothing: this does not allocate.
        Some(hypervisor) => match xen::init(hypervisor, Box::new(ActiveTables), stir) {
            Ok(platform) => {
                if xen::console().is_some() {
                    console::set_sink(xen::write_console);
                }
                platform
            }
            Err(error) => diag::fatal(format_args!("cannot boot: {error}")),
        },
        None => {
            clock::calibrate();
            &BareMachine
        }
    };
    PLATFORM.get_or_init(|| platform);
    // Two images that start at the same time differ in their command lines at least.
    let mut known = [0; 16];
    known[..8].copy_from_slice(&platform.now().as_nanos().to_le_bytes());
    known[8..].copy_from_slice(&(platform.wall().as_nanos() as u64).to_le_bytes());
    let generator = entropy::stir(&[&known, command_line]);
    log::set_clock(monotonic_ns);
    log::init(::log::LevelFilter::Info);
    if !generator {
        ::log::warn!(
            "this CPU has no generator of random numbers: do not make keys in this domain"
        );
    }
    if beyond > 0 {
        ::log::warn!("maxmem is far above memory: the domain can never have {beyond} pages of it");
    }
    #[cfg(feature = "libc")]
    mirust_libc::host::set(&HOST);
    xen::spawn_drivers(holes, beyond);
}

/// A new domain was made from this one's memory, and perhaps several.
fn stir(known: &[u8]) {
    entropy::stir(&[known]);
}

fn monotonic_ns() -> u64 {
    domain::now().as_nanos()
}

/// Ends the domain, whether the drivers are there or not.
pub(super) fn end_on_xen(how: end::End) -> ! {
    let reason = match how {
        end::End::PowerOff => EndReason::Poweroff,
        end::End::Reboot => EndReason::Reboot,
        end::End::Crash => EndReason::Crash,
    };
    if xen::present() {
        xen::end(reason)
    }
    early::drain();
    match Xen::detect() {
        Some(hypervisor) => xen::sched::end(hypervisor, reason),
        None => cpu::halt(),
    }
}

/// Rust aborts after a panic that cannot be caught, and both languages when memory is exhausted: the report should
/// name that.
#[cfg(feature = "libc")]
fn abort(reason: &str) -> ! {
    let reason = diag::MaybeOutOfMemory(reason);
    match diag::last_panic() {
        Some(panic) => diag::fatal(format_args!("{reason}; the last panic was: {panic}")),
        None => diag::fatal(format_args!("{reason}")),
    }
}

/// What the C symbols need.
#[cfg(feature = "libc")]
static HOST: mirust_libc::host::Host = mirust_libc::host::Host {
    console_write: console::write,
    exit: end::exit,
    abort,
    monotonic_ns,
    wall_ns: || domain::wall().as_nanos() as u64,
    random: entropy::fill,
};
