//! Nodes of the tree of files: what each of them is and holds, and the names in a directory.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ops::Range;

use super::super::local::local;
use super::super::memory::{self, Reserved};
use super::super::pair::Remembered;
use super::super::parts::{Errno, PartMut, Result};
use super::contents::Contents;
use super::temporary;
use crate::errno::{EACCES, ENOTDIR};
use crate::layout::Stat;
use crate::timespec::Timespec;

pub(super) const TYPE: u32 = 0o170_000;
pub(super) const DIRECTORY: u32 = 0o040_000;
pub(super) const REGULAR: u32 = 0o100_000;
pub(super) const LINK: u32 = 0o120_000;
pub(super) const DEVICE: u32 = 0o020_000;

/// A file, a directory, a link or a device.
pub(super) struct Node {
    pub(super) inode: u64,
    /// The tree's own nodes have inodes of one device, those of volumes of another, temporary ones of a third, and what
    /// persists of its own.
    pub(super) device: u64,
    pub(super) mode: Cell<u32>,
    pub(super) links: Cell<u64>,
    /// Nanoseconds since 1970.
    pub(super) modified: Cell<u64>,
    /// What it takes of the memory for files, besides what it holds.
    _space: Reserved,
    /// Who has to know of changes, for what persists.
    keeper: Option<Rc<dyn Keeper>>,
    pub(super) kind: Kind,
}

/// What a node holds.
pub(super) enum Kind {
    /// Names.
    Directory(Directory),
    /// A file's contents.
    File(&'static [u8]),
    /// A file whose contents are made when it is opened.
    Made(fn() -> Vec<u8>),
    /// A symbolic link's target.
    Link(Box<[u8]>),
    /// A device.
    Device(Device),
    /// A file elsewhere, and its size.
    Far(Rc<dyn Elsewhere>, u64),
    /// A file that the program has made.
    Written(Contents),
    /// The name of a UNIX-domain socket, which may be gone.
    Socket(Remembered),
}

/// What is done with bytes of a file.
pub(super) type Use<'a> = &'a mut dyn FnMut(&[u8]) -> Result<usize>;

/// A file or a directory on a volume, such as a disk. The trait keeps the code that waits for it out of programs
/// without volumes.
pub(super) trait Elsewhere {
    /// What has a name in the directory. Waits.
    fn child(&self, name: &[u8]) -> Result<Option<Rc<Node>>>;

    /// Adds the names in the directory to others, which are in order, unless they are among those. Waits.
    fn add_names(&self, names: &mut Vec<Name>) -> Result;

    /// Calls `f` with at most `most` bytes of the file, from `offset` on. Waits before that.
    fn with_bytes(&self, offset: u64, most: usize, f: Use<'_>) -> Result<usize>;

    /// Fills the parts from `offset` on, as far as the file goes. Waits.
    fn read(&self, parts: &mut [PartMut], offset: u64) -> Result<usize>;
}

/// Keeps the nodes of one directory, and all below. The trait leaves the code out of programs whose files are
/// temporary. No call waits but [`commit`](Keeper::commit).
pub(super) trait Keeper {
    /// A number for a new node.
    fn next_inode(&self) -> u64;

    /// The node is new.
    fn created(&self, node: &Rc<Node>);

    /// What is known about the node was changed, and these pages of its contents. Without a name left, it is gone.
    fn changed(&self, node: &Rc<Node>, pages: Range<u64>);

    /// A file has so many bytes now, of which those that are new are zeroes.
    fn resized(&self, node: &Rc<Node>, len: u64);

    /// A name in a directory leads to this node now; `was_there` if it led to one before.
    fn named(&self, directory: u64, name: &Rc<[u8]>, to: Option<&Node>, was_there: bool);

    /// From now on the contents may change without a call.
    fn mapped(&self, node: &Rc<Node>);

    /// How many pages it has room for, and how many of them are free.
    fn room(&self) -> (u64, u64);

    /// Has some pages give up their memory that are stored as they are; true if there were any.
    fn evict(&self) -> bool;

    /// Makes all changes up to now survive a crash. Waits.
    ///
    /// # Errors
    ///
    /// Those of the store; EDEADLK where nothing may wait, and on a stack that is in a commit already. The changes are
    /// still to be committed then.
    fn commit(&self) -> Result;
}

/// The names in a directory.
#[derive(Default)]
pub(super) struct Directory {
    /// Those that were put here, in order.
    pub(super) own: RefCell<BTreeMap<Rc<[u8]>, Named>>,
    /// `None` for the root, and for what is on a volume.
    pub(super) above: RefCell<Option<Above>>,
    /// The directory of a volume whose names are seen too.
    below: RefCell<Option<Rc<dyn Elsewhere>>>,
}

/// Where a directory is, or was when it was removed.
#[derive(Clone)]
pub(super) struct Above {
    /// The directory that has it.
    pub(super) directory: Weak<Node>,
    /// Its name there.
    pub(super) name: Rc<[u8]>,
}

/// What has a name.
pub(super) struct Named {
    node: Rc<Node>,
    /// What the name takes of the memory for files.
    pub(super) space: Reserved,
}

/// Devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Device {
    /// `/dev/null`.
    Null,
    /// `/dev/zero`.
    Zero,
    /// `/dev/urandom` and `/dev/random`.
    Random,
}

impl Node {
    /// A new node that stays as it is.
    pub(super) fn new(mode: u32, modified: u32, kind: Kind) -> Rc<Self> {
        let modified = u64::from(modified) * 1_000_000_000;
        Node::of(next_inode(), 1, mode, modified, kind, Reserved::default(), None)
    }

    /// A new node that can be changed, and ends with the domain.
    pub(super) fn temporary(mode: u32, modified: u64, kind: Kind, space: Reserved) -> Rc<Self> {
        Node::of(next_inode(), temporary::DEVICE, mode, modified, kind, space, None)
    }

    /// A new node that can be changed, for a directory that can.
    pub(super) fn beside(&self, mode: u32, kind: Kind, space: Reserved) -> Rc<Self> {
        let keeper = self.keeper.clone();
        let inode = keeper.as_ref().map_or_else(next_inode, |keeper| keeper.next_inode());
        let node = Node::of(inode, self.device, mode, temporary::now(), kind, space, keeper);
        if let Some(keeper) = &node.keeper {
            keeper.created(&node);
        }
        node
    }

    /// A node that persists, as it was.
    pub(super) fn kept(
        (inode, device): (u64, u64),
        mode: u32,
        modified: u64,
        kind: Kind,
        space: Reserved,
        keeper: Rc<dyn Keeper>,
    ) -> Rc<Self> {
        Node::of(inode, device, mode, modified, kind, space, Some(keeper))
    }

    fn of(
        inode: u64,
        device: u64,
        mode: u32,
        modified: u64,
        kind: Kind,
        _space: Reserved,
        keeper: Option<Rc<dyn Keeper>>,
    ) -> Rc<Self> {
        let links = if matches!(kind, Kind::Directory(_)) { 2 } else { 1 };
        let (mode, links, modified) = (Cell::new(mode), Cell::new(links), Cell::new(modified));
        Rc::new(Node { inode, device, mode, links, modified, _space, keeper, kind })
    }

    /// A new directory, empty.
    pub(super) fn directory(mode: u32, modified: u32) -> Rc<Self> {
        Node::new(DIRECTORY | mode & 0o7777, modified, Kind::Directory(Directory::default()))
    }

    /// What is elsewhere.
    pub(super) fn elsewhere(
        inode: u64,
        mode: u32,
        links: u64,
        modified: u64,
        kind: Kind,
    ) -> Rc<Self> {
        let (mode, links, modified) = (Cell::new(mode), Cell::new(links), Cell::new(modified));
        let (_space, keeper) = (Reserved::default(), None);
        Rc::new(Node { inode, device: 2, mode, links, modified, _space, keeper, kind })
    }

    /// The type in the numbers of `d_type`: the four bits above the permissions.
    pub(super) fn directory_type(&self) -> u8 {
        (self.mode.get() >> 12) as u8
    }

    /// Whether it is a directory.
    pub(super) fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory(_))
    }

    /// Whether it can be written.
    pub(super) fn is_writable(&self) -> bool {
        matches!(self.kind, Kind::Device(_)) || self.is_changeable()
    }

    /// Whether it can be changed in every way: it is temporary, or persists.
    pub(super) fn is_changeable(&self) -> bool {
        self.device >= temporary::DEVICE
    }

    /// Who keeps it, if it persists.
    pub(super) fn keeper(&self) -> Option<&Rc<dyn Keeper>> {
        self.keeper.as_ref()
    }

    /// Memory to note changes of so many pages, where they have to be.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(super) fn room_to_note(&self, pages: usize) -> Result {
        match &self.keeper {
            Some(_) => memory::need(memory::THING + 32 * pages),
            None => Ok(()),
        }
    }

    /// It was changed now: its names, or these pages of its contents.
    pub(super) fn touch(self: &Rc<Self>, pages: Range<u64>) {
        self.modified.set(temporary::now());
        self.note(pages);
    }

    /// What is known about it was changed, and these pages of its contents.
    pub(super) fn note(self: &Rc<Self>, pages: Range<u64>) {
        if let Some(keeper) = &self.keeper {
            keeper.changed(self, pages);
        }
    }

    /// Its contents were cut, or extended by zeroes, to this many bytes.
    pub(super) fn resized(self: &Rc<Self>, len: u64) {
        self.modified.set(temporary::now());
        if let Some(keeper) = &self.keeper {
            keeper.resized(self, len);
        }
    }

    pub(super) fn stat(&self, size: u64) -> Stat {
        let times = [Timespec::from_ns(self.modified.get()); 3];
        let blocks = match &self.kind {
            Kind::Written(contents) => contents.blocks(),
            _ => size.div_ceil(512),
        };
        let (size, blocks) = (size as i64, blocks as i64);
        let Node { inode, device, .. } = *self;
        let links = self.links.get();
        Stat { device, inode, links, size, blocks, times, ..Stat::new(self.mode.get()) }
    }

    /// Bytes, as `stat` says.
    pub(super) fn size(&self) -> u64 {
        match &self.kind {
            Kind::File(data) => data.len() as u64,
            Kind::Link(target) => target.len() as u64,
            Kind::Made(make) => make().len() as u64,
            Kind::Directory(_) | Kind::Device(_) | Kind::Socket(_) => 0,
            Kind::Far(_, size) => *size,
            Kind::Written(contents) => contents.len(),
        }
    }

    /// What has a name in this directory. Waits if it is on a volume.
    pub(super) fn child(&self, name: &[u8]) -> Result<Option<Rc<Node>>> {
        let Kind::Directory(directory) = &self.kind else { return Ok(None) };
        let below = directory.below.borrow().clone();
        match (self.own_child(name), below) {
            (None, Some(below)) => below.child(name),
            (own, _) => Ok(own),
        }
    }

    /// What was put into this directory by this name.
    pub(super) fn own_child(&self, name: &[u8]) -> Option<Rc<Node>> {
        let Kind::Directory(directory) = &self.kind else { return None };
        directory.own.borrow().get(name).map(|named| Rc::clone(&named.node))
    }

    /// Puts a node into this directory by a name, in the place of what had it. The keeper does not hear of what is of
    /// another device: that is put there anew each time, and hides what has the name.
    pub(super) fn put(self: &Rc<Self>, name: Rc<[u8]>, node: Rc<Node>, space: Reserved) {
        if let Kind::Directory(directory) = &node.kind {
            let above = Above { directory: Rc::downgrade(self), name: Rc::clone(&name) };
            directory.above.replace(Some(above));
        }
        if let Kind::Directory(directory) = &self.kind {
            let named = Named { node: Rc::clone(&node), space };
            let replaced = directory.own.borrow_mut().insert(Rc::clone(&name), named);
            if let Some(keeper) = self.keeper.as_ref().filter(|_| node.device == self.device) {
                keeper.named(self.inode, &name, Some(&node), replaced.is_some());
            }
            drop(replaced);
        }
    }

    /// Removes a name from this directory.
    pub(super) fn take(&self, name: &Rc<[u8]>) -> Option<Named> {
        let Kind::Directory(directory) = &self.kind else { return None };
        let taken = directory.own.borrow_mut().remove(&**name)?;
        if let Some(keeper) = &self.keeper {
            keeper.named(self.inode, name, None, true);
        }
        Some(taken)
    }

    /// Makes the names of a volume's directory visible in this one.
    ///
    /// # Errors
    ///
    /// ENOTDIR.
    pub(super) fn see_below(&self, below: Rc<dyn Elsewhere>) -> Result {
        let Kind::Directory(directory) = &self.kind else { return Err(Errno(ENOTDIR)) };
        directory.below.replace(Some(below));
        Ok(())
    }

    /// The directories that were put into this one.
    pub(super) fn own_directories(&self) -> Vec<(Rc<[u8]>, Rc<Node>)> {
        let Kind::Directory(directory) = &self.kind else { return Vec::new() };
        let own = directory.own.borrow();
        let directories = own.iter().filter(|(_, named)| named.node.is_directory());
        directories.map(|(name, named)| (Rc::clone(name), Rc::clone(&named.node))).collect()
    }
}

local! {
    static LAST_INODE: Cell<u64> = Cell::new(0);
}

fn next_inode() -> u64 {
    LAST_INODE.with(|last| {
        last.set(last.get() + 1);
        last.get()
    })
}

/// A name, its inode, and its type as `d_type` has it.
pub(super) type Name = (Rc<[u8]>, u64, u8);

/// The names in a directory; none of another node. Waits if they are on a volume.
///
/// # Errors
///
/// Those of the volume; ENOMEM.
pub(super) fn names(node: &Node) -> Result<Vec<Name>> {
    let Kind::Directory(directory) = &node.kind else { return Ok(Vec::new()) };
    let own = directory.own.borrow();
    let names = own
        .iter()
        .map(|(name, Named { node, .. })| (Rc::clone(name), node.inode, node.directory_type()));
    let mut list: Vec<Name> = Vec::new();
    memory::reserve(&mut list, own.len())?;
    list.extend(names);
    let mut names = list;
    drop(own);
    let below = directory.below.borrow().clone();
    if let Some(below) = below {
        below.add_names(&mut names)?;
    }
    Ok(names)
}

/// EACCES if the mode does not permit this to all users; the bits of `access`.
pub(super) fn check_access(node: &Node, wanted: u32) -> Result {
    let mode = node.mode.get();
    if mode & wanted == wanted || mode >> 6 & wanted == wanted {
        return Ok(());
    }
    Err(Errno(EACCES))
}
