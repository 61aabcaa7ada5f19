//! Ctrl-C, and requests to end: they are for whoever boots the domain, and this program waits for it.
//!
//! A child is a process group of its own, or the terminal's Ctrl-C would reach everything below it at once: the
//! machine with the domain in it, before the domain could be asked to end. One signal goes to the child alone.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use anyhow::{Context, Result};

/// The exit code of what Ctrl-C ended, as a shell has it.
pub const CODE: u8 = 130;

/// The process that hears of it; 0 if there is none.
static CHILD: AtomicU32 = AtomicU32::new(0);
static CAME: AtomicBool = AtomicBool::new(false);

/// Whether somebody wanted an end.
pub fn came() -> bool {
    CAME.load(Ordering::Relaxed)
}

/// Starts what boots a domain. From now on it, and not this program, is ended by Ctrl-C, SIGTERM
/// and SIGHUP.
///
/// # Errors
///
/// It cannot be started.
pub fn start(command: &mut Command) -> Result<Child> {
    let child = command.process_group(0).spawn();
    let child = child.context("cannot boot the image")?;
    CHILD.store(child.id(), Ordering::Relaxed);
    // Refused the second time, when the first handler does the same.
    let _ = ctrlc::set_handler(|| {
        CAME.store(true, Ordering::Relaxed);
        // Not waited for yet, since this program ends soon after: the number is still the child's.
        let signal = format!("kill -INT {}", CHILD.load(Ordering::Relaxed));
        let _ = Command::new("sh").args(["-c", &signal]).status();
    });
    Ok(child)
}
