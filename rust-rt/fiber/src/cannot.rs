//! The error of a blocking call where it cannot block.

use alloc::boxed::Box;
use core::any::Any;
use core::fmt;

/// Why a call that would block has not done so.
pub enum CannotBlock {
    /// It came out of a task of the executor, or out of an event handler: both run in the middle of
    /// a poll, which cannot go on before they return. A task awaits; code that cannot belongs
    /// on a thread.
    InTask,
    /// The future panicked; the payload is the panic's. Only on a thread: on the main stack the panic goes
    /// through `block_on`.
    Panicked(Box<dyn Any + Send>),
}

impl fmt::Display for CannotBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CannotBlock::InTask => {
                "a task of mirust::spawn cannot block: await, or do this on a thread"
            }
            CannotBlock::Panicked(_) => "what was waited for has panicked",
        })
    }
}

impl fmt::Debug for CannotBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CannotBlock::InTask => "InTask",
            CannotBlock::Panicked(_) => "Panicked",
        })
    }
}

impl core::error::Error for CannotBlock {}
