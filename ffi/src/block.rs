//! Disks.
//!
//! [`open`] returns a [`Disk`] by its name: one that the parameter `--disk=NAME:DEVICE` assigns to a device,
//! or the device itself. On Xen a device is named as in the toolstack's configuration (`xvda`); on Linux it
//! is the path of a file or of a block device. So the same program is started with `--disk=data:xvdb` on Xen
//! and with `--disk=data:/tmp/data.img` on Linux.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let disk = mirust::block::open("data")?;
//! disk.write_at(0, &[7; 4096]).await?;
//! disk.flush().await?;
//! # Ok(())
//! # }
//! ```
//!
//! A completed [`Disk::write_at`] is stable once a later [`Disk::flush`] has succeeded. A program that does
//! not use this module links no disk driver.

pub mod blocking;
#[cfg(feature = "redb")]
mod pages;
#[cfg(feature = "redb")]
pub mod redb;
#[cfg(feature = "redb")]
#[doc(hidden)]
pub mod store;

pub use mirust_rt::block::blkfront::Options;
pub use mirust_rt::block::{Buffer, Counters, Device, Discard, Disk, Error, Info, SECTOR, State};

use std::rc::Rc;

/// Why a disk could not be opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenError(String);

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OpenError {}

/// Opens a disk by its name. On Xen it may be connected later: calls wait for it, and so does
/// [`Disk::ready`].
///
/// # Errors
///
/// On Xen, if there can be no disk of this name; on Linux, if the file cannot be opened.
pub fn open(name: &str) -> Result<Disk, OpenError> {
    open_with(name, Options::default())
}

/// Opens a disk with options other than the defaults. They matter on Xen only.
///
/// # Errors
///
/// As [`open`].
pub fn open_with(name: &str, options: Options) -> Result<Disk, OpenError> {
    crate::setup::init();
    device(name, options).map(Disk::new).map_err(OpenError)
}

/// The device that a name stands for.
pub(crate) fn device(name: &str, options: Options) -> Result<Rc<dyn Device>, String> {
    // What is not text names no disk.
    let args = crate::args_os().into_iter().filter_map(|arg| arg.into_string().ok());
    let args: Vec<String> = args.collect();
    open_device(resolve(name, &args), options)
}

/// The parameter for disks.
fn resolve<'a>(name: &'a str, args: &'a [String]) -> &'a str {
    let mut args = args.iter();
    let mut found = None;
    while let Some(arg) = args.next() {
        let value = match arg.strip_prefix("--disk") {
            Some("") => args.next().map(String::as_str),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        // As for other parameters, the last one counts.
        if let Some((_, device)) = value.and_then(|v| v.split_once(':')).filter(|v| v.0 == name) {
            found = Some(device);
        }
    }
    found.unwrap_or(name)
}

#[cfg(feature = "xen")]
fn open_device(name: &str, options: Options) -> Result<Rc<dyn Device>, String> {
    Ok(mirust_rt::block::blkfront::open(name, options)?)
}

#[cfg(not(feature = "xen"))]
fn open_device(name: &str, _: Options) -> Result<Rc<dyn Device>, String> {
    Ok(mirust_rt::block::file::open(name).map_err(|error| format!("{name}: {error}"))?)
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn names_are_given_by_parameters() {
        let args = ["prog", "--disk=data:xvdb", "--disk", "log:/tmp/a:b", "--disk=data:xvdc", "-x"];
        let args = args.map(String::from);
        for (name, device) in
            [("data", "xvdc"), ("log", "/tmp/a:b"), ("xvda", "xvda"), ("", ""), ("x", "x")]
        {
            assert_eq!(resolve(name, &args), device);
        }
        assert_eq!(resolve("d", &["--disk".into()]), "d");
    }
}
