//! The executor, its timers and the domain poll, on a mock platform.

mod mock;
mod tasks;
