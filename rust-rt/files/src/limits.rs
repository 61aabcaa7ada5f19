//! Limits, as on Linux.

/// Bytes of a name, at most.
pub const LONGEST_NAME: usize = 255;
/// Bytes of a path, at most; as on Linux, where one more is its end.
pub const LONGEST_PATH: usize = 4095;
/// Symbolic links on the way to a file, at most.
pub const MOST_LINKS: usize = 40;
/// Names that are still to be followed, at most: a path alone has fewer, but each link may add as many again.
pub const MOST_NAMES: usize = 4096;
