//! Disks for code that blocks: on threads, and on the main stack where it may.
//!
//! ```no_run
//! # fn example() -> std::io::Result<()> {
//! use mirust::block::blocking::Disk;
//!
//! let disk = Disk::open("data")?;
//! let counter = std::thread::spawn(move || -> std::io::Result<u64> {
//!     let mut unit = [0; 4096];
//!     disk.read_at(0, &mut unit)?;
//!     unit[0] += 1;
//!     disk.write_at(0, &unit)?;
//!     disk.flush()?; // stable from here on
//!     Ok(unit[0].into())
//! });
//! # Ok(())
//! # }
//! ```
//!
//! A call waits as [`crate::fiber`] does: everything else in the domain goes on meanwhile. In a task of
//! [`spawn`](crate::spawn) it fails, and the async [`Disk`](super::Disk) is for that. In a Linux process the thread
//! that opened the disk alone can use it.

use std::fmt;
use std::future::Future;
use std::io;
use std::mem::ManuallyDrop;

use super::{Buffer, Counters, Error, Info};

/// A disk whose calls block. Positions and lengths are those of the async one.
pub struct Disk {
    disk: ManuallyDrop<super::Disk>,
    #[cfg(not(feature = "xen"))]
    owner: std::thread::ThreadId,
}

// SAFETY: a domain has one thread of execution, whatever number of stacks, and a request is made between two of its
// switches. On Linux `disk` serves no thread but the one that made it, and `drop` leaves the count of the
// device's owners alone on others.
unsafe impl Send for Disk {}
// SAFETY: as above.
unsafe impl Sync for Disk {}

impl Disk {
    /// Opens a disk by its name, as [`block::open`](super::open) does, and waits until it is connected.
    ///
    /// # Errors
    ///
    /// As there; where nothing can wait.
    pub fn open(name: &str) -> io::Result<Disk> {
        let disk =
            super::open(name).map_err(|error| io::Error::new(io::ErrorKind::NotFound, error))?;
        let disk = Disk::of(disk);
        disk.info()?;
        Ok(disk)
    }

    /// The same disk, for code that blocks.
    pub fn of(disk: super::Disk) -> Disk {
        Disk {
            disk: ManuallyDrop::new(disk),
            #[cfg(not(feature = "xen"))]
            owner: std::thread::current().id(),
        }
    }

    /// What is known about the disk, once it is connected.
    ///
    /// # Errors
    ///
    /// If the disk is closed; where nothing can wait. The others too.
    pub fn info(&self) -> io::Result<Info> {
        self.wait(|disk| disk.ready())
    }

    /// The size in bytes, once it is connected. It may change.
    ///
    /// # Errors
    ///
    /// As [`info`](Self::info).
    // A disk of no bytes is none.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> io::Result<u64> {
        self.info().map(|info| info.sectors * super::SECTOR)
    }

    /// Reads `out.len()` bytes from `offset` on, both of them any.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) beyond the end; [`InvalidInput`](io::ErrorKind::InvalidInput)
    /// for what is not aligned to sectors, [`ReadOnlyFilesystem`](io::ErrorKind::ReadOnlyFilesystem),
    /// [`Unsupported`](io::ErrorKind::Unsupported), [`OutOfMemory`](io::ErrorKind::OutOfMemory); all else is
    /// [`Other`](io::ErrorKind::Other), with an [`Error`] inside. The others too.
    pub fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.wait(|disk| disk.read_at(offset, out))
    }

    /// Writes `data` from `offset` on, both of them whole sectors.
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at).
    pub fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.wait(|disk| disk.write_at(offset, data))
    }

    /// Fills a buffer from `offset` on, without a copy where the disk allows.
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at).
    pub fn read(&self, offset: u64, buffer: Buffer) -> io::Result<Buffer> {
        self.wait(|disk| disk.read(offset, buffer))
    }

    /// Writes a buffer from `offset` on, without a copy where the disk allows, and returns it.
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at).
    pub fn write(&self, offset: u64, buffer: Buffer) -> io::Result<Buffer> {
        self.wait(|disk| disk.write(offset, buffer))
    }

    /// Makes stable what was written before this call, by whomever.
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at).
    pub fn flush(&self) -> io::Result<()> {
        self.wait(|disk| disk.flush())
    }

    /// Gives `len` bytes from `offset` on back; with `secure` no copy remains.
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at).
    pub fn discard(&self, offset: u64, len: u64, secure: bool) -> io::Result<()> {
        self.wait(|disk| disk.discard(offset, len, secure))
    }

    /// Writes zeros to `len` bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at).
    pub fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        self.wait(|disk| disk.zero(offset, len))
    }

    /// What the disk has counted.
    ///
    /// # Errors
    ///
    /// On Linux, of a thread that it does not belong to.
    pub fn counters(&self) -> io::Result<Counters> {
        self.disk().map(super::Disk::counters)
    }

    fn wait<'a, F, T>(&'a self, call: impl FnOnce(&'a super::Disk) -> F) -> io::Result<T>
    where
        F: Future<Output = Result<T, Error>> + 'a,
    {
        let disk = self.disk()?;
        let result = crate::fiber::block_on(async move { call(disk).await });
        result.map_err(|error| io::Error::other(error.to_string()))?.map_err(error)
    }

    /// The disk, for the thread that it belongs to.
    fn disk(&self) -> io::Result<&super::Disk> {
        #[cfg(not(feature = "xen"))]
        if self.owner != std::thread::current().id() {
            return Err(io::Error::other("a disk belongs to the domain's thread"));
        }
        Ok(&self.disk)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.disk().is_ok() {
            // SAFETY: nobody uses it any more; and this is the thread that owns what it counts.
            unsafe { ManuallyDrop::drop(&mut self.disk) }
        }
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.disk() {
            Ok(disk) => write!(f, "blocking {disk:?}"),
            Err(_) => f.write_str("blocking Disk of another thread"),
        }
    }
}

/// An error as `std` knows it.
fn error(error: Error) -> io::Error {
    use io::ErrorKind::*;
    let kind = match error {
        Error::OutOfRange => UnexpectedEof,
        Error::Misaligned => InvalidInput,
        Error::ReadOnly => ReadOnlyFilesystem,
        Error::Unsupported => Unsupported,
        Error::NoMemory => OutOfMemory,
        Error::Io | Error::Lost | Error::Closed => Other,
    };
    io::Error::new(kind, error)
}
