//! Read-only files on a disk.
//!
//! [`mount`] returns the [`Files`] of a disk by its name, as [`block::open`] returns the disk: the
//! parameter `--disk=NAME:DEVICE` says which device that is. The disk holds an EROFS image:
//!
//! ```sh
//! mkfs.erofs site.erofs public/
//! ```
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! let files = mirust::fs::mount("site").await?;
//! let page = files.read_to_string("index.html").await?;
//! let movie = files.open("films/long.mp4").await?;
//! let mut part = vec![0; 65536];
//! let n = movie.read_at(1 << 30, &mut part).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Paths are relative to the image, with or without a leading slash; symbolic links are followed within it. Errors are
//! those of [`std::io`], by kind. A damaged or malicious image causes errors
//! ([`InvalidData`](io::ErrorKind::InvalidData)) and nothing worse. Nothing can be written.
//!
//! A program for Linux, on `std::fs`, reads the same disks: `docs/storage.md` says how.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use mirust_rt::files::{Error, Image, Inode};

use crate::block::{self, Disk};

pub use mirust_rt::files::Kind;

/// A handle on the files of a disk; cheap to clone.
#[derive(Clone)]
pub struct Files {
    image: Rc<Image<Disk>>,
}

/// The files of the disk that has this name in the program.
///
/// # Errors
///
/// As [`block::open`], if there is no such disk; and as [`Files::of`].
pub async fn mount(name: &str) -> io::Result<Files> {
    let disk = block::open(name).map_err(|error| {
        io::Error::new(io::ErrorKind::NotFound, format!("disk {name}: {error}"))
    })?;
    Files::of(disk).await
}

impl Files {
    /// The files of a disk. Waits until it is connected.
    ///
    /// # Errors
    ///
    /// [`InvalidData`](io::ErrorKind::InvalidData) if it holds none, [`Unsupported`](io::ErrorKind::Unsupported) if
    /// they are compressed or the like; those of the disk.
    pub async fn of(disk: Disk) -> io::Result<Files> {
        let image = Image::open(disk).await.map_err(error)?;
        Ok(Files { image: Rc::new(image) })
    }

    /// Where they are.
    pub fn disk(&self) -> &Disk {
        self.image.source()
    }

    /// Opens a file.
    ///
    /// # Errors
    ///
    /// Also if it is not a file, such as a directory.
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let inode = self.find(path.as_ref(), true).await?;
        match inode.kind() {
            Kind::File => Ok(File { files: self.clone(), inode }),
            Kind::Directory => Err(error(Error::IsDirectory)),
            Kind::Link | Kind::Other => Err(error(Error::WrongKind)),
        }
    }

    /// The contents of a file.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`OutOfMemory`](io::ErrorKind::OutOfMemory) if it does not fit into memory.
    pub async fn read(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let file = self.open(path).await?;
        file.read_part(0, usize::MAX).await
    }

    /// The contents of a text file.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and [`InvalidData`](io::ErrorKind::InvalidData) if it is not UTF-8.
    pub async fn read_to_string(&self, path: impl AsRef<Path>) -> io::Result<String> {
        let bytes = self.read(path).await?;
        String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// The metadata of a file or a directory. Links are followed.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), except for directories.
    pub async fn metadata(&self, path: impl AsRef<Path>) -> io::Result<Metadata> {
        Ok(Metadata { inode: self.find(path.as_ref(), true).await? })
    }

    /// The metadata of a file, a directory or a link.
    ///
    /// # Errors
    ///
    /// As [`metadata`](Self::metadata).
    pub async fn symlink_metadata(&self, path: impl AsRef<Path>) -> io::Result<Metadata> {
        Ok(Metadata { inode: self.find(path.as_ref(), false).await? })
    }

    /// The target of a symbolic link.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it is not a link.
    pub async fn read_link(&self, path: impl AsRef<Path>) -> io::Result<PathBuf> {
        let link = self.find(path.as_ref(), false).await?;
        let target = self.image.target(&link).await.map_err(error)?;
        Ok(OsString::from_vec(target).into())
    }

    /// The names in a directory, in bytewise order, without `.` and `..`.
    ///
    /// # Errors
    ///
    /// [`NotADirectory`](io::ErrorKind::NotADirectory); as [`open`](Self::open).
    pub async fn read_dir(&self, path: impl AsRef<Path>) -> io::Result<Vec<Entry>> {
        let directory = self.find(path.as_ref(), true).await?;
        let entries = self.image.list(&directory).await.map_err(error)?;
        let entry = |entry: mirust_rt::files::Entry| Entry {
            name: OsString::from_vec(entry.name),
            kind: entry.kind,
        };
        Ok(entries.into_iter().map(entry).collect())
    }

    /// What they are read from.
    #[cfg(all(feature = "descriptors", any(feature = "xen", feature = "posix-on-unix")))]
    pub(crate) fn image(&self) -> &Rc<Image<Disk>> {
        &self.image
    }

    async fn find(&self, path: &Path, follow: bool) -> io::Result<Inode> {
        self.image.find(path.as_os_str().as_bytes(), follow).await.map_err(error)
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Files on {:?}", self.disk())
    }
}

/// An open file. Its location in the image was looked up when it was opened.
#[derive(Clone, Debug)]
pub struct File {
    files: Files,
    inode: Inode,
}

impl File {
    /// Bytes.
    pub fn len(&self) -> u64 {
        self.inode.size
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.inode.size == 0
    }

    /// Its metadata.
    pub fn metadata(&self) -> Metadata {
        Metadata { inode: self.inode }
    }

    /// Reads into `out` from `offset` on. Returns how many bytes; fewer than fit only at the end of the file. Large
    /// reads are large requests to the disk.
    ///
    /// # Errors
    ///
    /// Those of the disk, and those of a damaged image.
    pub async fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        self.files.image.read_at(&self.inode, offset, out).await.map_err(error)
    }

    /// At most `most` bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at), and [`OutOfMemory`](io::ErrorKind::OutOfMemory).
    pub async fn read_part(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        part(&self.files.image, &self.inode, offset, most).await.map_err(error)
    }
}

/// At most `most` bytes of a file, from `offset` on.
pub(crate) async fn part(
    image: &Image<Disk>,
    inode: &Inode,
    offset: u64,
    most: usize,
) -> Result<Vec<u8>, Error> {
    let left = usize::try_from(inode.size.saturating_sub(offset)).map_err(|_| Error::NoMemory)?;
    let n = left.min(most);
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(n).map_err(|_| Error::NoMemory)?;
    bytes.resize(n, 0);
    let n = image.read_at(inode, offset, &mut bytes).await?;
    bytes.truncate(n);
    Ok(bytes)
}

/// A name in a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The name.
    pub name: OsString,
    /// Its kind.
    pub kind: Kind,
}

/// The metadata of a file, a directory or a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metadata {
    inode: Inode,
}

impl Metadata {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.inode.kind()
    }

    /// Bytes.
    // An empty file is not a special case.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u64 {
        self.inode.size
    }

    /// When it was last changed.
    pub fn modified(&self) -> SystemTime {
        let since = Duration::new(self.inode.modified, self.inode.modified_ns);
        SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Permissions, as on Linux. They are not enforced.
    pub fn mode(&self) -> u32 {
        self.inode.mode & 0o7777
    }

    /// Its inode number in the image: names with the same number are the same file.
    pub fn number(&self) -> u64 {
        self.inode.number
    }
}

/// The corresponding error of `std`.
fn error(error: Error) -> io::Error {
    use io::ErrorKind::*;
    let kind = match error {
        Error::NotFound => NotFound,
        Error::NotDirectory => NotADirectory,
        Error::IsDirectory => IsADirectory,
        Error::WrongKind | Error::NameTooLong => InvalidInput,
        Error::Corrupt(_) => InvalidData,
        Error::Unsupported(_) => Unsupported,
        Error::NoMemory => OutOfMemory,
        Error::Loop | Error::Disk(_) => Other,
    };
    io::Error::new(kind, error)
}
