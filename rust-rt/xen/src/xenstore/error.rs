//! Errors of xenstore calls.

use crate::wire::xenstore::Malformed;
use alloc::string::String;
use core::fmt;

/// Why a xenstore call failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// The node does not exist (`ENOENT`).
    NotFound,
    /// This domain may not do that to that node (`EACCES`, `EPERM`).
    Denied,
    /// Something else has changed what the transaction was about: start it again (`EAGAIN`).
    Again,
    /// It is there already (`EEXIST`).
    Exists,
    /// The daemon did not like the request (`EINVAL`).
    Invalid,
    /// A quota of this domain is used up (`ENOSPC`, `EDQUOT`).
    Quota,
    /// Too many bytes for the request, or for its reply (`E2BIG`).
    TooBig,
    /// Any other refusal, by its name.
    Refused(String),
    /// The path is not one that a node can have. Nothing was sent.
    BadPath,
    /// The value is not text, or not of the type that was asked for.
    BadValue,
    /// The reply does not make sense.
    Malformed,
    /// The connection has failed; what became of the request is unknown.
    Broken,
    /// There is no xenstore here.
    Unavailable,
}

impl Error {
    /// The error with the name that the daemon sends.
    pub(super) fn named(name: &str) -> Error {
        match name {
            "ENOENT" => Error::NotFound,
            "EACCES" | "EPERM" => Error::Denied,
            "EAGAIN" => Error::Again,
            "EEXIST" => Error::Exists,
            "EINVAL" => Error::Invalid,
            "ENOSPC" | "EDQUOT" => Error::Quota,
            "E2BIG" => Error::TooBig,
            // The daemon's words, but not more of them than a name has.
            other => Error::Refused(other.chars().take(32).collect()),
        }
    }
}

impl From<Malformed> for Error {
    fn from(_: Malformed) -> Self {
        Error::Malformed
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::NotFound => "no such node",
            Error::Denied => "permission denied",
            Error::Again => "the transaction has to be started again",
            Error::Exists => "it exists already",
            Error::Invalid => "xenstored calls the request invalid",
            Error::Quota => "a xenstore quota is used up",
            Error::TooBig => "too many bytes",
            Error::Refused(name) => return write!(f, "xenstored refused: {name}"),
            Error::BadPath => "not a xenstore path",
            Error::BadValue => "not the value that was expected",
            Error::Malformed => "xenstored's reply makes no sense",
            Error::Broken => "the connection to xenstored is broken",
            Error::Unavailable => "there is no xenstore",
        })
    }
}

impl core::error::Error for Error {}
