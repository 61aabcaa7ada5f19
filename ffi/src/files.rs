//! The Rust side of OCaml's `mirust.files`: the files of a disk ([`fs`](crate::fs)), as the values of a store.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use mirust_rt::files::{Error, Image, Inode, Kind};

use crate::block::{self, Disk};
use crate::fs::part;
use crate::local::domain_local;

/// The files of a disk. The name is long because those of its functions are global.
pub struct MirustFiles(Image<Disk>);

domain_local! {
    /// Those that are in use, by the names of their disks: a disk is opened once.
    static OPENED: RefCell<BTreeMap<String, Rc<MirustFiles>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Why there is no answer, as a number: what the OCaml side has names for, or a message.
fn failure(error: Error) -> (isize, String) {
    let number = match error {
        // No key that is so long is there.
        Error::NotFound | Error::NameTooLong => 0,
        Error::NotDirectory => 1,
        Error::IsDirectory | Error::WrongKind => 2,
        _ => 3,
    };
    (number, error.to_string())
}

/// What a store knows of a kind.
fn is_dictionary(kind: Kind) -> bool {
    kind == Kind::Directory
}

#[mirust::export]
impl MirustFiles {
    /// The files of the disk that has this name.
    async fn open(name: String) -> Result<Rc<MirustFiles>, String> {
        if let Some(store) = OPENED.with_borrow(|opened| opened.get(&name).cloned()) {
            return Ok(store);
        }
        let disk = block::open(&name).map_err(|error| error.to_string())?;
        let image = Image::open(disk).await.map_err(|error| error.to_string())?;
        let store = Rc::new(MirustFiles(image));
        // Somebody else may have been as quick.
        Ok(OPENED.with_borrow_mut(|opened| Rc::clone(opened.entry(name).or_insert(store))))
    }

    /// Closes the disk.
    fn close(&self) {
        OPENED.with_borrow_mut(|opened| {
            opened.retain(|_, store| !std::ptr::eq(&raw const **store, self))
        });
        self.0.source().close();
    }

    /// Whether it is a dictionary, the size, and when it was changed: seconds since 1970, and nanoseconds. An error is
    /// 0 if there is no such key, 1 if a part of it is no dictionary, 2 if it is no value, and 3 besides, with a
    /// message.
    async fn about(
        self: Rc<Self>,
        key: Vec<u8>,
    ) -> Result<(bool, isize, isize, isize), (isize, String)> {
        let inode = self.find(&key).await.map_err(failure)?;
        let Inode { size, modified, modified_ns, .. } = inode;
        // OCaml's numbers have 63 bits.
        let [size, modified] = [size, modified].map(|n| n.min(isize::MAX as u64 / 2) as isize);
        Ok((is_dictionary(inode.kind()), size, modified, modified_ns as isize))
    }

    /// At most `most` bytes of a value, from `offset` on. Errors are those of `about`.
    async fn part(
        self: Rc<Self>,
        key: Vec<u8>,
        offset: isize,
        most: isize,
    ) -> Result<Vec<u8>, (isize, String)> {
        let inode = self.find(&key).await.map_err(failure)?;
        // Negative numbers are nothing to be read.
        let (offset, most) = (offset.max(0) as u64, most.max(0) as usize);
        part(&self.0, &inode, offset, most).await.map_err(failure)
    }

    /// The names in a dictionary, and whether each is one. A link is what it leads to, and one that leads nowhere is
    /// left out. Errors are those of `about`.
    async fn list(self: Rc<Self>, key: Vec<u8>) -> Result<Vec<(Vec<u8>, bool)>, (isize, String)> {
        let directory = self.find(&key).await.map_err(failure)?;
        let entries = self.0.list(&directory).await.map_err(failure)?;
        let mut list = Vec::new();
        for entry in entries {
            let kind = match entry.kind {
                Kind::Link => {
                    let path = [&key[..], b"/", &entry.name].concat();
                    match self.0.find(&path, true).await {
                        Ok(inode) => inode.kind(),
                        Err(Error::Disk(error)) => return Err(failure(error.into())),
                        Err(_) => continue,
                    }
                }
                kind => kind,
            };
            if matches!(kind, Kind::File | Kind::Directory) {
                list.push((entry.name, is_dictionary(kind)));
            }
        }
        Ok(list)
    }
}

impl MirustFiles {
    async fn find(&self, key: &[u8]) -> Result<Inode, Error> {
        // Metadata may be there without the disk.
        if self.0.source().info().state == block::State::Closed {
            return Err(block::Error::Closed.into());
        }
        let inode = self.0.find(key, true).await?;
        match inode.kind() {
            Kind::File | Kind::Directory => Ok(inode),
            // A device is no value: there is nothing in it.
            Kind::Link | Kind::Other => Err(Error::NotFound),
        }
    }
}
