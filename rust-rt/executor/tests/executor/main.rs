//! The executor, its timers and the domain poll, on a mock platform.

mod abort;
mod clock;
mod memory;
mod mock;
mod model;
mod panics;
mod poll;
mod suspend;
mod tasks;
mod timers;
