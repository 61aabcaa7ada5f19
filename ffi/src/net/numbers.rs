//! Enumerations of both languages, which cross the boundary as numbers.
//!
//! `make header` generates OCaml's variants from these, in `ocaml-stubs/rust/served.ml`, with the constructors in the
//! same order.

use ocaml_sys::Value as Raw;

use super::Error;
use crate::ocaml::{OCamlRuntime, Pass};

/// Defines what OCaml has as a variant without arguments.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$said:meta])* $constructor:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(super) enum $name { $($(#[$said])* $constructor,)* }

        // SAFETY: a constructor without arguments is the immediate of its place in the variant.
        unsafe impl Pass<$name> for $name {
            type Kept<'a> = $name;
            #[inline]
            fn keep(&self, _: &mut OCamlRuntime) -> $name {
                *self
            }
            #[inline]
            unsafe fn raw(kept: &$name) -> Raw {
                (*kept as Raw) << 1 | 1
            }
        }
    };
}

numbered! {
    /// Which direction of a connection is ended.
    Side {
        /// What comes is thrown away.
        Read,
        /// The peer reads the end of what was written.
        Write,
        /// Both of them.
        Both,
    }
}

numbered! {
    /// What can be set of a connection.
    Setting {
        /// 1 if small writes are sent at once.
        Nodelay,
        /// Nanoseconds of silence before the peer is probed; 0 for never.
        Keepalive,
        /// Nanoseconds that written data may stay unacknowledged.
        UserTimeout,
    }
}

/// From `room` and `write`: less room than was thought, so that nothing was taken.
pub(super) const NOT_TAKEN: i64 = -1;
/// From here down: an error, this less its number.
pub(super) const FIRST_ERROR: i64 = -2;

/// What OCaml reports, by number.
pub(super) const ERRORS: [Error; 11] = [
    Error::InUse,
    Error::Refused,
    Error::TimedOut,
    Error::Reset,
    Error::Aborted,
    Error::Closed,
    Error::NoResources,
    Error::NoRoute,
    Error::TooLong,
    Error::NotFound,
    Error::NotLocal,
];

/// The error that OCaml has by this number.
pub(super) fn error(number: i64) -> Error {
    let known = usize::try_from(number).ok().and_then(|number| ERRORS.get(number));
    known.cloned().unwrap_or_else(|| Error::Stack(format!("an unknown error, {number}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_errors_are_said_to_be_unknown() {
        let beyond = ERRORS.len() as i64;
        assert_eq!(error(beyond - 1), Error::NotLocal);
        assert!(matches!(error(beyond), Error::Stack(_)));
        assert!(matches!(error(-1), Error::Stack(_)));
    }
}
