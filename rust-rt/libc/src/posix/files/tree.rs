//! The tree of files: what ramdisks and the program brought, what every program may look for, and what it writes. Names are
//! put into it, and paths followed.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::super::memory::{self, Reserved};
use super::super::parts::{Errno, Result};
use super::node::{DEVICE, DIRECTORY, Device, Directory, Kind, LINK, Node, REGULAR};
use super::place::Place;
use crate::errno::{EBUSY, EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR};

/// Symbolic links on the way to a file, at most.
const MOST_LINKS: usize = 40;
/// Bytes of a path, and of one of its names.
pub(super) const LONGEST: (usize, usize) = (4095, 255);
/// Names that are still to be followed, at most. A path alone has fewer; links on a disk may add as many again each.
const MOST_NAMES: usize = 4096;

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

    /// Puts a directory in the place of whatever is at a path, which is hidden from then on.
    ///
    /// # Errors
    ///
    /// EBUSY for the root; ENOTDIR, EINVAL.
    pub(super) fn mount(&self, path: &[u8], directory: Rc<Node>) -> Result {
        let end = path.iter().rposition(|&c| c != b'/').ok_or(Errno(EBUSY))? + 1;
        let start = path[..end].iter().rposition(|&c| c == b'/').map_or(0, |at| at + 1);
        let above = if start == 0 { b"/" } else { &path[..start] };
        let name = &path[start..end];
        if matches!(name, b"." | b"..") {
            return Err(Errno(EINVAL));
        }
        self.directory(above)?.put(name.into(), directory, Reserved::default());
        Ok(())
    }

    /// Follows a path from `start` on. A link at its end is followed too if `follow`.
    ///
    /// # Errors
    ///
    /// ENOENT for a directory that is missing (not for the last name), ENOTDIR, ELOOP, ENAMETOOLONG, ENOMEM.
    pub(super) fn find(&self, start: &Place, path: &[u8], follow: bool) -> Result<Found> {
        if path.is_empty() {
            return Err(Errno(ENOENT));
        }
        if path.len() > LONGEST.0 {
            return Err(Errno(ENAMETOOLONG));
        }
        memory::need(room_for(start.len(), path))?;
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
                    memory::reserve(&mut place, 1)?;
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
                    memory::need(room_for(place.len() + names.len(), target))?;
                    names.extend(split(target));
                }
                _ => {
                    memory::reserve(&mut place, 1)?;
                    place.push((name, node));
                }
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

/// What following a path takes at most, from a place of so many names on: each of its names is copied, into lists that
/// move when they grow.
fn room_for(before: usize, path: &[u8]) -> usize {
    let names = path.iter().filter(|&&c| c == b'/').count() + 1;
    memory::THING + 32 * before + 128 * names + path.len()
}

/// The names of a path, the first one last.
fn split(path: &[u8]) -> Vec<Rc<[u8]>> {
    path.split(|&c| c == b'/').filter(|name| !name.is_empty()).rev().map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use super::super::archive_tests::put;
    use super::super::node::names;
    use super::super::place::path_of;
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
        let path = alloc::string::String::from_utf8(path_of(&found.place).unwrap()).unwrap();
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
        assert_eq!(path_of(&found.place).unwrap(), b"/etc");
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
}
