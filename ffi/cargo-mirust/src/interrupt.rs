//! Ctrl-C and termination signals: they are passed to the program that boots the domain, and this one waits for it.
//!
//! The child has its own process group; otherwise the terminal's Ctrl-C would reach everything below it at once,
//! including the machine with the domain in it, before the domain could be asked to shut down. The signal goes only to
//! the child.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use anyhow::{Context, Result};

/// The exit code of a program ended by Ctrl-C, as in a shell.
pub const CODE: u8 = 130;

/// The process that gets the signal; 0 if there is none.
///
/// The thread that starts it stores this and then reads [`CAME`]; the one that handles the signal stores `CAME` and
/// then reads this. At least one of them must see what the other has stored, or the signal is lost: hence `SeqCst`.
static CHILD: AtomicU32 = AtomicU32::new(0);
static CAME: AtomicBool = AtomicBool::new(false);

/// Whether a signal has arrived.
pub fn came() -> bool {
    CAME.load(Ordering::SeqCst)
}

/// Starts the program that boots a domain. From now on that program, and not this one, gets Ctrl-C, SIGTERM and
/// SIGHUP.
///
/// # Errors
///
/// It cannot be started.
pub fn start(command: &mut Command) -> Result<Child> {
    // Before the child is there, since it inherits what is ignored, but not what is handled: a shell starts programs in
    // the background with SIGINT ignored, and the shell that boots the domain could never change that.
    // Refused the second time, when the first handler does the same.
    let _ = ctrlc::set_handler(|| {
        CAME.store(true, Ordering::SeqCst);
        pass_on();
    });
    let child = command.process_group(0).spawn();
    let child = child.context("cannot boot the image")?;
    CHILD.store(child.id(), Ordering::SeqCst);
    if came() {
        pass_on();
    }
    Ok(child)
}

/// Has the program that boots the domain end it, as by Ctrl-C.
pub fn pass_on() {
    match CHILD.load(Ordering::SeqCst) {
        0 => {}
        // Not waited for yet, since this program ends soon after: the number is still the child's.
        child => {
            let signal = format!("kill -INT {child}");
            let _ = Command::new("sh").args(["-c", &signal]).status();
        }
    }
}
