//! Files of disks below the paths of the program.

use std::io;
use std::pin::pin;
use std::rc::Rc;

use mirust_rt::files::{Error, Image, Inode, Kind};
use mirust_rt::libc::posix::{Errno, Found, Later, Volume, mount_volume};

use crate::block::Disk;
use crate::fs::{self, Files, part};
use crate::{domain, fiber};

/// Puts the files of the disk that has this name below `path`, for `std::fs` and all others who call C's
/// functions. A directory is made at `path` if there is none. Files that the program or a ramdisk brought
/// are seen first; where both have a directory, both are seen in it.
///
/// Waits for the disk, and says so after ten seconds.
///
/// # Errors
///
/// As [`fs::mount`]; and where nothing may wait, in a task.
pub fn mount_disk(name: &str, path: &str) -> io::Result<()> {
    let mounted = fiber::block_on(with_a_warning(name, fs::mount(name)));
    mount_files(&mounted.map_err(cannot)??, path)
}

/// Puts files that were mounted before below `path`; see [`mount_disk`].
///
/// # Errors
///
/// If `path` leads to something else than a directory; those of the disk; where nothing may wait.
pub fn mount_files(files: &Files, path: &str) -> io::Result<()> {
    let volume = Rc::new(OnDisk(Rc::clone(files.image())));
    let root =
        fiber::block_on(async move { volume.0.root().await.map(|root| (root.number, volume)) });
    let (root, volume) = root.map_err(cannot)?.map_err(io::Error::other)?;
    mount_volume(path, volume, root).map_err(|Errno(number)| io::Error::from_raw_os_error(number))
}

/// Mounts the disks of a list, whose files are read: `DEVICE:PATH`, separated by commas. The environment variable
/// `MIRUST_DISKS` replaces the list if it is set.
///
/// If one of them cannot be mounted, the program would not find its files: it ends, with a line in the log and the exit
/// code 1. This is called from a function that cannot unwind, so it does not panic.
#[doc(hidden)]
pub fn mount_disks(list: &str) {
    mount_each(list, mount_disk, |_, _| {
        let why = "the image was built for disks that are read; build it with one to write to";
        Err(io::Error::other(why))
    });
}

/// Mounts the disks of a list by these functions: those whose path `:rw` follows by the second one.
pub(super) fn mount_each(
    list: &str,
    mount: fn(&str, &str) -> io::Result<()>,
    mount_writable: fn(&str, &str) -> io::Result<()>,
) {
    let given = std::env::var("MIRUST_DISKS");
    for entry in given.as_deref().unwrap_or(list).split(',').filter(|entry| !entry.is_empty()) {
        let (entry, mount) = match entry.strip_suffix(":rw") {
            Some(entry) => (entry, mount_writable),
            None => (entry, mount),
        };
        let Some((device, path)) = entry.split_once(':') else {
            end(&format!("not a disk and a path: {entry:?}; write DEVICE:PATH, such as xvdb:/srv"));
        };
        if let Err(error) = mount(device, path) {
            end(&format!("the files of disk {device} cannot be mounted at {path}: {error}"));
        }
    }
}

/// Ends the program, before its `main`.
fn end(message: &str) -> ! {
    log::error!("{message}");
    std::process::exit(1)
}

/// Why nothing may wait here.
pub(super) fn cannot(error: fiber::CannotBlock) -> io::Error {
    io::Error::other(error.to_string())
}

/// Says after a while that it waits for a disk.
pub(super) async fn with_a_warning<T>(name: &str, mounting: impl Future<Output = T>) -> T {
    /// So long a wait is worth a word, in seconds.
    const LONG: u64 = 10;
    let name = name.to_owned();
    let warning = domain::spawn(async move {
        crate::time::sleep(crate::time::Duration::from_secs(LONG)).await;
        log::warn!(
            "the disk {name} is not there yet: does the domain's `disk` have one so called?"
        );
    });
    let mounted = pin!(mounting).await;
    warning.abort();
    mounted
}

/// A disk's files as the C functions see them.
struct OnDisk(Rc<Image<Disk>>);

impl Volume for OnDisk {
    fn lookup(&self, directory: u64, name: &[u8]) -> Later<Option<Found>> {
        let (image, name) = (Rc::clone(&self.0), name.to_vec());
        later(async move {
            let directory = image.inode(directory).await?;
            let Some(inode) = image.lookup(&directory, &name).await? else { return Ok(None) };
            let target = match inode.kind() {
                Kind::Link => image.target(&inode).await?,
                _ => Vec::new(),
            };
            Ok(Some(found(&inode, target)))
        })
    }

    fn list(&self, directory: u64) -> Later<Vec<(Vec<u8>, u64, u32)>> {
        let image = Rc::clone(&self.0);
        later(async move {
            let directory = image.inode(directory).await?;
            let names = image.list(&directory).await?;
            Ok(names
                .into_iter()
                .map(|entry| (entry.name, entry.number, mode(entry.kind)))
                .collect())
        })
    }

    fn read(&self, file: u64, offset: u64, most: usize) -> Later<Vec<u8>> {
        let image = Rc::clone(&self.0);
        later(async move {
            let file = image.inode(file).await?;
            part(&image, &file, offset, most).await
        })
    }
}

fn found(inode: &Inode, target: Vec<u8>) -> Found {
    let Inode { number, mode, links, size, modified, modified_ns, .. } = *inode;
    let modified = modified.saturating_mul(1_000_000_000).saturating_add(modified_ns.into());
    Found { number, mode, links: links.into(), size, modified, target }
}

/// The type as C's `st_mode` has it; nothing that is a file for the others.
fn mode(kind: Kind) -> u32 {
    match kind {
        Kind::File => 0o100_000,
        Kind::Directory => 0o040_000,
        Kind::Link => 0o120_000,
        Kind::Other => 0,
    }
}

/// An answer with Linux's numbers for errors.
fn later<T: 'static>(answer: impl Future<Output = Result<T, Error>> + 'static) -> Later<T> {
    Box::pin(async move { answer.await.map_err(errno) })
}

fn errno(error: Error) -> Errno {
    Errno(match error {
        Error::NotFound => 2,
        Error::Disk(_) => 5,
        Error::NoMemory => 12,
        Error::NotDirectory => 20,
        Error::IsDirectory => 21,
        Error::WrongKind => 22,
        Error::NameTooLong => 36,
        Error::Loop => 40,
        Error::Unsupported(_) => 95,
        Error::Corrupt(what) => {
            log::error!("the image of files is damaged: {what}");
            5
        }
    })
}
