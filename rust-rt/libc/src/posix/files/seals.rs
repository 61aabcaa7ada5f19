//! What of a file can no longer be done, as `fcntl` numbers it.

/// No further seals.
pub(super) const SEAL: u8 = 1;
pub(super) const SHRINK: u8 = 2;
pub(super) const GROW: u8 = 4;
pub(super) const WRITE: u8 = 8;
/// As [`WRITE`], but for mappings that are there already.
pub(super) const FUTURE_WRITE: u8 = 16;
/// No change of whether it can be executed, which nothing here can.
pub(super) const EXEC: u8 = 32;
pub(super) const ALL: u8 = 63;
