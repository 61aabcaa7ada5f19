//! Tokens: the numbers by which each language names what waits in it. Part of `include/mirust.h`, like
//! [`abi`](crate::abi).

/// Result of `mirust_completion_next`: there is none.
pub const MIRUST_COMPLETION_NONE: isize = -1;
/// Result of `mirust_completion_next`: from here down it stands for a future that OCaml awaits and that has
/// ended, and is this less the future's token.
pub const MIRUST_COMPLETION_FUTURE: isize = -2;

/// How many bits of a token, which is not negative and fits into an OCaml `int`, name a slot of a table. The others
/// count how often the slot was used before. (Either language makes tokens, and looks its own ones up.)
pub const MIRUST_TOKEN_INDEX_BITS: isize = 24;
