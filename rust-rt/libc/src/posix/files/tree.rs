//! The tree of files: what ramdisks and the program brought, what every program may look for, and what it writes.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use super::super::local::local;
use super::super::memory::Reserved;
use super::super::pair::Remembered;
use super::super::parts::{Errno, PartMut, Result};
use super::cpio::{Entries, Entry};
pub(super) use super::place::{Place, path_of};
use super::temporary::{self, Contents};
use crate::errno::{EACCES, EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR};
use crate::layout::Stat;
use crate::timespec::Timespec;

pub(super) const TYPE: u32 = 0o170_000;
pub(super) const DIRECTORY: u32 = 0o040_000;
pub(super) const REGULAR: u32 = 0o100_000;
pub(super) const LINK: u32 = 0o120_000;
const DEVICE: u32 = 0o020_000;

/// Symbolic links on the way to a file, at most.
const MOST_LINKS: usize = 40;
/// Bytes of a path, and of one of its names.
pub(super) const LONGEST: (usize, usize) = (4095, 255);
/// Names that are still to be followed, at most. A path alone has fewer; links on a disk may add as many again each.
const MOST_NAMES: usize = 4096;

/// A file, a directory, a link or a device.
pub(super) struct Node {
    pub(super) inode: u64,
    /// The tree's own nodes have inodes of one device, those of volumes of another, and what can be changed of a third.
    device: u64,
    pub(super) mode: Cell<u32>,
    pub(super) links: Cell<u64>,
    /// Nanoseconds since 1970.
    pub(super) modified: Cell<u64>,
    /// What it takes of the memory for files, besides what it holds.
    _space: Reserved,
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

/// A file or a directory that is not here, but on a disk, say. The trait keeps what waits for it out of programs
/// that have none.
pub(super) trait Elsewhere {
    /// What has a name in the directory. Waits.
    fn child(&self, name: &[u8]) -> Result<Option<Rc<Node>>>;

    /// Adds the names in the directory to others, which are in order, unless they are among those. Waits.
    fn add_names(&self, names: &mut Vec<Name>) -> Result;

    /// Has `f` use at most `most` bytes of the file, from `offset` on. Waits before that.
    fn with_bytes(&self, offset: u64, most: usize, f: Use<'_>) -> Result<usize>;

    /// Fills the parts from `offset` on, as far as the file goes. Waits.
    fn read(&self, parts: &mut [PartMut], offset: u64) -> Result<usize>;
}

/// The names in a directory.
#[derive(Default)]
pub(super) struct Directory {
    /// Those that were put here, in order.
    pub(super) own: RefCell<BTreeMap<Rc<[u8]>, Named>>,
    /// Nothing for the root and for what lies elsewhere.
    pub(super) above: RefCell<Option<Above>>,
    /// The directory elsewhere that is seen below them.
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
    fn new(mode: u32, modified: u32, kind: Kind) -> Rc<Self> {
        Node::of(1, mode, u64::from(modified) * 1_000_000_000, kind, Reserved::default())
    }

    /// A new node that can be changed.
    pub(super) fn temporary(mode: u32, modified: u64, kind: Kind, space: Reserved) -> Rc<Self> {
        Node::of(temporary::DEVICE, mode, modified, kind, space)
    }

    fn of(device: u64, mode: u32, modified: u64, kind: Kind, _space: Reserved) -> Rc<Self> {
        let links = if matches!(kind, Kind::Directory(_)) { 2 } else { 1 };
        let inode = LAST_INODE.with(|last| {
            last.set(last.get() + 1);
            last.get()
        });
        let (mode, links, modified) = (Cell::new(mode), Cell::new(links), Cell::new(modified));
        Rc::new(Node { inode, device, mode, links, modified, _space, kind })
    }

    fn directory(mode: u32, modified: u32) -> Rc<Self> {
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
        let _space = Reserved::default();
        Rc::new(Node { inode, device: 2, mode, links, modified, _space, kind })
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
        matches!(self.kind, Kind::Device(_)) || self.is_temporary()
    }

    /// Whether it can be changed in every way: a part of the files in memory.
    pub(super) fn is_temporary(&self) -> bool {
        self.device == temporary::DEVICE
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

    /// What has a name in this directory. Waits where somebody else has to be asked.
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

    /// Puts a node into this directory by a name, in the place of what had it.
    pub(super) fn put(self: &Rc<Self>, name: Rc<[u8]>, node: Rc<Node>, space: Reserved) {
        if let Kind::Directory(directory) = &node.kind {
            let above = Above { directory: Rc::downgrade(self), name: Rc::clone(&name) };
            directory.above.replace(Some(above));
        }
        if let Kind::Directory(directory) = &self.kind {
            let replaced = directory.own.borrow_mut().insert(name, Named { node, space });
            drop(replaced);
        }
    }

    /// Has a directory elsewhere seen below this one.
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

/// The tree.
pub(super) struct Tree {
    root: Rc<Node>,
}

/// What a path leads to.
pub(super) struct Found {
    /// The directories on the way, without links, and the last name.
    pub(super) place: Place,
    /// Nothing if there is no such name in its directory.
    pub(super) node: Option<Rc<Node>>,
}

impl Tree {
    pub(super) fn new() -> Self {
        Tree { root: Node::directory(0o755, 0) }
    }

    /// Puts a node at a path, with the directories that lead there. What was there before is replaced,
    /// but a directory stays one.
    pub(super) fn put(&self, path: &[u8], node: Rc<Node>) -> Result {
        let mut names: Vec<&[u8]> =
            path.split(|&c| c == b'/').filter(|n| !n.is_empty() && *n != b".").collect();
        if names.contains(&&b".."[..]) {
            return Err(Errno(EINVAL));
        }
        let Some(last) = names.pop() else { return Ok(()) };
        let mut at = Rc::clone(&self.root);
        for name in names {
            at = match at.own_child(name) {
                Some(next) => next,
                None if at.is_directory() => {
                    let next = Node::directory(0o755, 0);
                    at.put(name.into(), Rc::clone(&next), Reserved::default());
                    next
                }
                None => return Err(Errno(ENOTDIR)),
            };
        }
        if !at.is_directory() {
            return Err(Errno(ENOTDIR));
        }
        let keep = node.is_directory() && at.own_child(last).is_some_and(|n| n.is_directory());
        if !keep {
            at.put(last.into(), node, Reserved::default());
        }
        Ok(())
    }

    /// The directory at a path, made if it is not there.
    pub(super) fn directory(&self, path: &[u8]) -> Result<Rc<Node>> {
        self.put(path, Node::directory(0o755, 0))?;
        self.find(&Vec::new(), path, true)?.node.ok_or(Errno(ENOENT))
    }

    /// Puts in what an archive holds; what is malformed ends it, with a line in the log.
    pub(super) fn unpack(&self, archive: &'static [u8]) {
        let mut linked: BTreeMap<[u32; 3], &'static [u8]> = BTreeMap::new();
        let entries = || Entries::new(archive).map_while(core::result::Result::ok);
        // The contents are with one of the links to a file, the last one as a rule.
        for entry in entries().filter(|e| e.links > 1 && !e.data.is_empty()) {
            linked.insert(entry.identity, entry.data);
        }
        for entry in Entries::new(archive) {
            let put = match entry {
                Ok(entry) => self.put_entry(&entry, &linked),
                Err(malformed) => {
                    log::error!(target: "files", "ramdisk: {malformed}; the rest of it is not there");
                    break;
                }
            };
            if let (Err(_), Ok(entry)) = (put, entry) {
                let name = alloc::string::String::from_utf8_lossy(entry.name);
                log::error!(target: "files", "ramdisk: {name:?} cannot be where it wants to be");
            }
        }
    }

    fn put_entry(
        &self,
        entry: &Entry<'static>,
        linked: &BTreeMap<[u32; 3], &'static [u8]>,
    ) -> Result {
        let Entry { name, mode, modified, data, .. } = *entry;
        let node = match mode & TYPE {
            DIRECTORY => Node::directory(mode, modified),
            REGULAR => {
                let shared = linked.get(&entry.identity).filter(|_| entry.links > 1);
                let data = shared.copied().unwrap_or(data);
                Node::new(mode, modified, Kind::File(data))
            }
            LINK => Node::new(mode, modified, Kind::Link(data.into())),
            // Devices and the like: those that exist are there anyway.
            _ => return Ok(()),
        };
        self.put(name, node)
    }

    pub(super) fn put_file(&self, path: &[u8], data: &'static [u8]) -> Result {
        self.put(path, Node::new(REGULAR | 0o444, 0, Kind::File(data)))
    }

    pub(super) fn put_made(&self, path: &[u8], make: fn() -> Vec<u8>) -> Result {
        self.put(path, Node::new(REGULAR | 0o444, 0, Kind::Made(make)))
    }

    pub(super) fn put_link(&self, path: &[u8], target: &'static [u8]) -> Result {
        self.put(path, Node::new(LINK | 0o777, 0, Kind::Link(target.into())))
    }

    pub(super) fn put_device(&self, path: &[u8], device: Device) -> Result {
        self.put(path, Node::new(DEVICE | 0o666, 0, Kind::Device(device)))
    }

    /// A directory whose contents the program may change.
    pub(super) fn put_temporary(&self, path: &[u8], mode: u32) -> Result {
        let kind = Kind::Directory(Directory::default());
        self.put(path, Node::temporary(DIRECTORY | mode, 0, kind, Reserved::default()))
    }

    /// Follows a path from `start` on. A link at its end is followed too if `follow`.
    ///
    /// # Errors
    ///
    /// ENOENT for a directory that is missing (not for the last name), ENOTDIR, ELOOP, ENAMETOOLONG.
    pub(super) fn find(&self, start: &Place, path: &[u8], follow: bool) -> Result<Found> {
        if path.is_empty() {
            return Err(Errno(ENOENT));
        }
        if path.len() > LONGEST.0 {
            return Err(Errno(ENAMETOOLONG));
        }
        let mut place: Place = if path[0] == b'/' { Vec::new() } else { start.clone() };
        // Names still to be followed, the next one last.
        let mut names: Vec<Rc<[u8]>> = split(path);
        let must_be_directory = path.ends_with(b"/") || path.ends_with(b"/.");
        let mut links = 0;
        while let Some(name) = names.pop() {
            let here = self.last(&place);
            if !here.is_directory() {
                return Err(Errno(ENOTDIR));
            }
            match &*name {
                b"." => continue,
                b".." => {
                    place.pop();
                    continue;
                }
                name if name.len() > LONGEST.1 => return Err(Errno(ENAMETOOLONG)),
                _ => {}
            }
            let Some(node) = here.child(&name)? else {
                if names.is_empty() {
                    place.push((name, here));
                    return Ok(Found { place, node: None });
                }
                return Err(Errno(ENOENT));
            };
            match &node.kind {
                Kind::Link(target) if follow || !names.is_empty() || must_be_directory => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Errno(ELOOP));
                    }
                    if target.starts_with(b"/") {
                        place.clear();
                    }
                    if target.len() / 2 + names.len() >= MOST_NAMES {
                        return Err(Errno(ENAMETOOLONG));
                    }
                    names.extend(split(target));
                }
                _ => place.push((name, node)),
            }
        }
        let node = self.last(&place);
        if must_be_directory && !node.is_directory() {
            return Err(Errno(ENOTDIR));
        }
        Ok(Found { place, node: Some(node) })
    }

    /// The directory that a place is in.
    pub(super) fn above(&self, place: &Place) -> Rc<Node> {
        self.last(&place[..place.len().saturating_sub(1)])
    }

    fn last(&self, place: &[(Rc<[u8]>, Rc<Node>)]) -> Rc<Node> {
        Rc::clone(place.last().map_or(&self.root, |(_, node)| node))
    }
}

/// The names of a path, the first one last.
fn split(path: &[u8]) -> Vec<Rc<[u8]>> {
    path.split(|&c| c == b'/').filter(|name| !name.is_empty()).rev().map(Into::into).collect()
}

/// A name, its inode, and its type as `d_type` has it.
pub(super) type Name = (Rc<[u8]>, u64, u8);

/// The names in a directory; nothing of another node. Waits where somebody else has to be asked.
pub(super) fn names(node: &Node) -> Result<Vec<Name>> {
    let Kind::Directory(directory) = &node.kind else { return Ok(Vec::new()) };
    let own = directory.own.borrow();
    let names = own
        .iter()
        .map(|(name, Named { node, .. })| (Rc::clone(name), node.inode, node.directory_type()));
    let mut names: Vec<Name> = names.collect();
    drop(own);
    let below = directory.below.borrow().clone();
    if let Some(below) = below {
        below.add_names(&mut names)?;
    }
    Ok(names)
}

/// EACCES if the mode does not let everybody do this; the bits of `access`.
pub(super) fn check_access(node: &Node, wanted: u32) -> Result {
    let mode = node.mode.get();
    if mode & wanted == wanted || mode >> 6 & wanted == wanted {
        return Ok(());
    }
    Err(Errno(EACCES))
}

#[cfg(test)]
mod tests {
    use super::super::archive_tests::put;
    use super::*;
    use alloc::vec;

    fn tree() -> Tree {
        let mut archive = Vec::new();
        put(&mut archive, ".", 0o040_755, 1, b"");
        put(&mut archive, "./etc", 0o040_755, 2, b"");
        put(&mut archive, "etc/motd", 0o100_644, 3, b"welcome");
        put(&mut archive, "/deep/er/file", 0o100_600, 4, b"x");
        put(&mut archive, "link", 0o120_777, 5, b"etc/motd");
        put(&mut archive, "up", 0o120_777, 6, b"/deep/../etc");
        put(&mut archive, "loop", 0o120_777, 7, b"loop");
        let long = ["long", &"/x".repeat(2000)].concat();
        put(&mut archive, "long", 0o120_777, 7, long.as_bytes());
        put(&mut archive, "one", 0o100_644, 101, b"");
        put(&mut archive, "two", 0o100_644, 101, b"shared");
        put(&mut archive, "../escape", 0o100_644, 8, b"no");
        put(&mut archive, "etc/motd/x", 0o100_644, 9, b"no");
        put(&mut archive, "TRAILER!!!", 0, 0, b"");
        let tree = Tree::new();
        tree.unpack(archive.leak());
        tree
    }

    fn text(tree: &Tree, path: &str) -> core::result::Result<alloc::string::String, i32> {
        let found = tree.find(&vec![], path.as_bytes(), true).map_err(|Errno(e)| e)?;
        let node = found.node.ok_or(ENOENT)?;
        let path = alloc::string::String::from_utf8(path_of(&found.place)).unwrap();
        Ok(match node.kind {
            Kind::File(data) => path + "=" + core::str::from_utf8(data).unwrap(),
            _ => path,
        })
    }

    #[test]
    fn paths_are_followed_as_everywhere() {
        let tree = tree();
        for (path, expected) in [
            ("/", Ok("/")),
            ("/etc/motd", Ok("/etc/motd=welcome")),
            ("etc//./motd", Ok("/etc/motd=welcome")),
            ("../../etc/../deep/er/file", Ok("/deep/er/file=x")),
            ("link", Ok("/etc/motd=welcome")),
            ("up/motd", Ok("/etc/motd=welcome")),
            ("up/", Ok("/etc")),
            ("one", Ok("/one=shared")),
            ("two", Ok("/two=shared")),
            ("", Err(ENOENT)),
            ("none", Err(ENOENT)),
            ("none/motd", Err(ENOENT)),
            ("escape", Err(ENOENT)),
            ("etc/motd/x", Err(ENOTDIR)),
            ("etc/motd/", Err(ENOTDIR)),
            ("loop", Err(ELOOP)),
            ("loop/x", Err(ELOOP)),
            ("long", Err(ENAMETOOLONG)),
        ] {
            assert_eq!(text(&tree, path), expected.map(Into::into), "{path}");
        }
        assert_eq!(text(&tree, &"x".repeat(256)), Err(ENAMETOOLONG));
        assert_eq!(text(&tree, &"x/".repeat(2048)), Err(ENAMETOOLONG));
        let found = tree.find(&vec![], b"link", false).unwrap().node.unwrap();
        assert!(matches!(&found.kind, Kind::Link(target) if **target == *b"etc/motd"));
    }

    #[test]
    fn relative_paths_start_where_they_are_said_to() {
        let tree = tree();
        let start = tree.find(&vec![], b"deep", true).unwrap().place;
        let found = tree.find(&start, b"er/../../etc", true).unwrap();
        assert_eq!(path_of(&found.place), b"/etc");
        let names: Vec<_> =
            names(&tree.root).unwrap().into_iter().map(|(n, _, t)| (n, t)).collect();
        let kinds: Vec<_> = names.iter().map(|(n, t)| (&n[..], *t)).collect();
        let expected: [(&[u8], u8); 8] = [
            (b"deep", 4),
            (b"etc", 4),
            (b"link", 10),
            (b"long", 10),
            (b"loop", 10),
            (b"one", 8),
            (b"two", 8),
            (b"up", 10),
        ];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn a_malformed_rest_leaves_what_came_before() {
        let mut archive = Vec::new();
        put(&mut archive, "a", 0o100_644, 1, b"A");
        archive.extend(b"garbage");
        let tree = Tree::new();
        tree.unpack(archive.leak());
        assert_eq!(text(&tree, "a"), Ok("/a=A".into()));
    }
}
