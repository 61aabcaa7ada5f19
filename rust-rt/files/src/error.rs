//! What can go wrong.

use core::fmt;

/// Why something could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// There is nothing of this name.
    NotFound,
    /// A part of the path is no directory, or what was to be listed is none.
    NotDirectory,
    /// It is a directory, and bytes were asked for.
    IsDirectory,
    /// It is a device or the like, or no symbolic link where one was asked for.
    WrongKind,
    /// Too many symbolic links on the way.
    Loop,
    /// A name or a path that is too long.
    NameTooLong,
    /// The image contradicts itself, or is none; what about it.
    Corrupt(&'static str),
    /// The image is of a kind that is not read here; which.
    Unsupported(&'static str),
    /// No memory for the answer.
    NoMemory,
    /// The disk does not give it.
    Disk(mirust_block::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotFound => f.write_str("no such file or directory"),
            Error::NotDirectory => f.write_str("not a directory"),
            Error::IsDirectory => f.write_str("is a directory"),
            Error::WrongKind => f.write_str("neither a file nor a directory"),
            Error::Loop => f.write_str("too many symbolic links"),
            Error::NameTooLong => f.write_str("the name is too long"),
            Error::Corrupt(what) => write!(f, "the image of files is damaged: {what}"),
            Error::Unsupported(what) => write!(f, "an image of files with {what} cannot be read"),
            Error::NoMemory => f.write_str("out of memory"),
            Error::Disk(error) => write!(f, "the disk: {error}"),
        }
    }
}

impl core::error::Error for Error {}

impl From<mirust_block::Error> for Error {
    fn from(error: mirust_block::Error) -> Error {
        match error {
            mirust_block::Error::NoMemory => Error::NoMemory,
            error => Error::Disk(error),
        }
    }
}
