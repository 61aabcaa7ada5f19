//! The one tree of an image: what is there in any case, and what was brought.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{OnceCell, RefCell};

use super::super::local::local;
use super::super::memory;
use super::super::network;
use super::super::parts::Result;
use super::machine;
use super::node::{Device, Kind};
use super::tree::Tree;
use super::volume::{self, Volume};

/// Archives that are part of the tree when it is made.
struct Source {
    tree: OnceCell<Rc<Tree>>,
    archives: RefCell<Vec<&'static [u8]>>,
}

local! {
    static SOURCE: Source =
        Source { tree: OnceCell::new(), archives: RefCell::new(Vec::new()) };
}

/// The tree, made at its first use.
///
/// # Errors
///
/// ENOMEM at the first use, if there is no memory for what is there in any case. That for the names of the archives, which
/// the image or its configuration brings, is not asked for.
pub(super) fn get() -> Result<Rc<Tree>> {
    SOURCE.with(|source| {
        if source.tree.get().is_none() {
            memory::need(4 * memory::THING)?;
        }
        let tree = source.tree.get_or_init(|| {
            let tree = Tree::new();
            standard(&tree);
            source.archives.take().into_iter().for_each(|archive| tree.unpack(archive));
            Rc::new(tree)
        });
        Ok(Rc::clone(tree))
    })
}

/// Adds the files of a cpio archive (newc), above what is there.
pub fn mount(archive: &'static [u8]) {
    SOURCE.with(|source| match source.tree.get() {
        Some(tree) => tree.unpack(archive),
        None => source.archives.borrow_mut().push(archive),
    });
}

/// Puts the files of a volume below a directory, which is made if it is not there. What was there before is seen
/// first; where both have a directory, both are seen in it. Waits.
///
/// # Errors
///
/// ENOTDIR if something else is there; those of the volume; EDEADLK where nothing may wait.
pub fn mount_volume(path: &str, volume: Rc<dyn Volume>, root: u64) -> Result {
    let directory = get()?.directory(path.as_bytes())?;
    volume::graft(&directory, volume, root)
}

/// Adds one file.
///
/// # Errors
///
/// False if a part of the path is a file, or `..`.
pub fn add(path: &str, data: &'static [u8]) -> bool {
    get().and_then(|tree| tree.put_file(path.as_bytes(), data)).is_ok()
}

/// The contents of a file, if it is one with contents of its own.
pub(in super::super) fn contents(path: &[u8]) -> Option<&'static [u8]> {
    match get().ok()?.find(&Vec::new(), path, true).ok()?.node?.kind {
        Kind::File(data) => Some(data),
        _ => None,
    }
}

/// What is there in any case.
fn standard(tree: &Tree) {
    let put = [
        tree.put_device(b"dev/null", Device::Null),
        tree.put_device(b"dev/zero", Device::Zero),
        tree.put_device(b"dev/random", Device::Random),
        tree.put_device(b"dev/urandom", Device::Random),
        tree.put_made(b"etc/resolv.conf", network::resolver_configuration),
        tree.put_file(b"etc/hosts", network::HOSTS),
        tree.put_link(b"proc/self", b"1"),
        tree.put_made(b"proc/1/auxv", machine::vector),
        tree.put_link(b"proc/1/exe", b"/mirust"),
        tree.put_made(b"proc/1/stat", machine::process),
        tree.put_made(b"proc/cpuinfo", machine::processors),
        tree.put_made(b"proc/loadavg", || b"0.00 0.00 0.00 1/1 1\n".to_vec()),
        tree.put_made(b"proc/meminfo", machine::memory),
        tree.put_made(b"proc/stat", machine::times),
        tree.put_made(b"proc/uptime", machine::uptime),
        tree.put_file(b"sys/devices/system/cpu/online", b"0\n"),
        tree.put_temporary(b"tmp", 0o1777),
    ];
    debug_assert!(put.iter().all(core::result::Result::is_ok));
}
