//! Read-only files on a disk.
//!
//! The format is EROFS, without compression: [`Image`] reads one from any [`Source`] of bytes, a
//! [`Disk`](mirust_block::Disk) above all. A directory is searched in place, by bisection, and a file's
//! bytes are in few pieces at multiples of the block size, so that an image costs no memory for what is not
//! used, and large reads are large requests.
//!
//! ```text
//!   Image      paths, lookup, lists, reading          image, path
//!   formats    superblock, inodes, directory blocks   superblock, inode, directory
//!   blocks     recently read metadata                 cache
//! ```
//!
//! The image is not trusted: each number is checked where it is used. No image makes this crate panic, loop for ever
//! or use unbounded memory.
//!
//! Source: "Core on-disk format" of the EROFS project's documentation, <https://erofs.docs.kernel.org>.
//!
//! # Example
//!
//! ```
//! use mirust_block::Disk;
//! use mirust_files::{Error, Image};
//!
//! /// The beginning of a file.
//! async fn greeting(disk: Disk) -> Result<Vec<u8>, Error> {
//!     let image = Image::open(disk).await?;
//!     let file = image.find(b"/etc/motd", true).await?;
//!     let mut bytes = vec![0; 80];
//!     let length = image.read_at(&file, 0, &mut bytes).await?;
//!     bytes.truncate(length);
//!     Ok(bytes)
//! }
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod cache;
mod directory;
mod error;
mod image;
mod inode;
mod limits;
mod path;
mod source;
mod superblock;

pub use directory::Entry;
pub use error::Error;
pub use image::{Image, MOST_IN_DIRECTORY};
pub use inode::{Inode, Kind};
pub use limits::{LONGEST_NAME, LONGEST_PATH, MOST_LINKS, MOST_NAMES};
pub use source::Source;

#[cfg(any(test, feature = "fake"))]
pub mod lies;
#[cfg(test)]
mod made_tests;
#[cfg(test)]
mod tests;
