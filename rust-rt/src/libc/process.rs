//! The process.
use super::host;

/// Ends the domain when a fortified function would write `n` bytes into `room`.
pub(super) fn check_room(function: &str, n: usize, room: usize) {
    if n > room {
        (host::get().abort)(function);
    }
}
