//! A store is mounted: its files are read. What it holds is an allegation until checked.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;

use super::super::memory::{For, Reserved};
use super::super::parts::{Errno, Result};
use super::block::PAGE;
use super::contents::Contents;
use super::entry::PERMISSIONS;
use super::keeper;
use super::node::{DIRECTORY, Directory, Keeper, Kind, LINK, Node, REGULAR, TYPE};
use super::persistent::Persistent;
use super::root;
use super::store::{About, FORMAT, Key, Store, number};
use super::temporary::{DIRECTORY_COST, NAME_COST, NODE_COST};
use super::tree::LONGEST;
use crate::errno::EIO;

/// The number of the directory that all others are in.
const ROOT: u64 = 1;
/// No node gets so far.
const HIGHEST: u64 = 1 << 63;

/// A name, the number of the node that it leads to, and what the name takes of the memory for files.
type Leads = (Rc<[u8]>, u64, Reserved);

/// What the store was found to hold.
#[derive(Default)]
struct Found {
    format: bool,
    nodes: BTreeMap<u64, Rc<Node>>,
    /// The names in each directory, and the nodes that they lead to.
    names: BTreeMap<u64, Vec<Leads>>,
}

/// Puts the files of a store below a directory, where they can be changed. What is at the path already is hidden; an
/// empty store becomes an empty directory. Waits.
///
/// Changes are committed by `fsync` and its relatives, by [`commit_files`](keeper::commit_all), and when the program
/// ends.
///
/// # Errors
///
/// EIO if the store holds something else, or is damaged; ENOSPC if what is known about its files, and their names, does
/// not fit into the memory for files; EBUSY for the root of the tree; EDEADLK where nothing may wait.
pub fn mount_store(path: &str, store: Box<dyn Store>) -> Result {
    let keeper = Persistent::new(store, path, keeper::next_device());
    let mut found = Found::default();
    let result = load(&keeper, &mut found).and_then(|directory| {
        // A new one is made at once, so that a store that cannot be written is found now.
        keeper.commit()?;
        root::get()?.mount(path.as_bytes(), directory)
    });
    match result {
        Ok(()) => keeper::add(keeper),
        Err(_) => found.take_apart(),
    }
    result
}

/// Makes the nodes of a store; the directory that all are in.
fn load(keeper: &Rc<Persistent>, found: &mut Found) -> Result<Rc<Node>> {
    keeper.store.each(Key::PAGES, &mut |key, value| found.add(keeper, key, value))?;
    if !found.format {
        keeper.is_new.set(true);
        let root = directory(keeper, keeper.next_inode(), DIRECTORY | 0o755, 0)?;
        keeper.created(&root);
        return Ok(root);
    }
    keeper.last_inode.set(found.nodes.last_key_value().map_or(ROOT, |(&last, _)| last));
    let root = found.nodes.get(&ROOT).filter(|node| node.is_directory()).cloned();
    let root = root.ok_or_else(|| damaged("no directory that all others are in"))?;
    found.name_all(&root)?;
    keeper.is_as_stored();
    // What the root does not lead to goes: a number may be used again.
    let unnamed = found.nodes.values().filter(|node| node.links.get() == 0);
    unnamed.for_each(|node| keeper.forget(node.inode));
    for (directory, names) in core::mem::take(&mut found.names) {
        names.iter().for_each(|(name, ..)| keeper.named(directory, name, None, true));
    }
    Ok(root)
}

fn damaged(what: &str) -> Errno {
    log::error!("a store of files is damaged, or is none: {what}");
    Errno(EIO)
}

/// Memory for something that is not larger than this.
fn space(bytes: usize) -> Result<Reserved> {
    let space = Reserved::new(For::Files);
    space.set(bytes).map(|()| space)
}

fn directory(keeper: &Rc<Persistent>, inode: u64, mode: u32, modified: u64) -> Result<Rc<Node>> {
    let kind = Kind::Directory(Directory::default());
    let (place, space) = ((inode, keeper.device), space(NODE_COST + DIRECTORY_COST)?);
    Ok(Node::kept(place, mode, modified, kind, space, Rc::<Persistent>::clone(keeper)))
}

impl Found {
    fn add(&mut self, keeper: &Rc<Persistent>, key: &[u8], value: &[u8]) -> Result {
        let key = Key::parse(key).ok_or_else(|| damaged("a key without a meaning"))?;
        if !self.format && (key, value) != (Key::Format, FORMAT) {
            return Err(damaged("not the first key of such a store"));
        }
        match key {
            Key::Format => self.format = true,
            // New ones have higher numbers.
            Key::Node(HIGHEST..) => return Err(damaged("an impossible number")),
            Key::Node(inode) => {
                let about = About::parse(value).ok_or_else(|| damaged("a node cut short"))?;
                self.nodes.insert(inode, node(keeper, inode, &about)?);
            }
            Key::Name(directory, name) => {
                let leads_to = number(value).ok_or_else(|| damaged("a name without a node"))?;
                if !is_name(name) {
                    return Err(damaged("an impossible name"));
                }
                let space = space(NAME_COST + name.len())?;
                self.names.entry(directory).or_default().push((name.into(), leads_to, space));
            }
            Key::Page(..) => return Err(damaged("keys in a wrong order")),
        }
        Ok(())
    }

    /// Gives the nodes the names that lead to them from the root on.
    fn name_all(&mut self, root: &Rc<Node>) -> Result {
        self.nodes.values().for_each(|node| node.links.set(0));
        root.links.set(2);
        let mut directories = Vec::from([Rc::clone(root)]);
        while let Some(directory) = directories.pop() {
            for (name, inode, space) in self.names.remove(&directory.inode).unwrap_or_default() {
                let node = self.nodes.get(&inode).ok_or_else(|| damaged("a name of nothing"))?;
                let links = node.links.get();
                if node.is_directory() {
                    if links > 0 {
                        return Err(damaged("a directory with two names"));
                    }
                    directory.links.set(directory.links.get() + 1);
                    node.links.set(2);
                    directories.push(Rc::clone(node));
                } else {
                    node.links.set(links + 1);
                }
                directory.put(name, Rc::clone(node), space);
            }
        }
        Ok(())
    }

    /// Takes the directories out of each other. Otherwise they would be dropped from within each other, and may be nested
    /// deeper than a stack allows.
    fn take_apart(&self) {
        for node in self.nodes.values() {
            if let Kind::Directory(directory) = &node.kind {
                directory.own.take();
            }
        }
    }
}

fn node(keeper: &Rc<Persistent>, inode: u64, about: &About<'_>) -> Result<Rc<Node>> {
    let About { mode, modified, size, pages, target } = *about;
    let kind = match mode & TYPE {
        _ if mode & !(TYPE | PERMISSIONS) != 0 => return Err(damaged("an impossible mode")),
        DIRECTORY => return directory(keeper, inode, mode, modified),
        REGULAR => {
            let contents = Contents::new();
            contents.set_len(size).map_err(|_| damaged("an impossible size"))?;
            Kind::Written(contents)
        }
        LINK if !target.is_empty() && target.len() <= LONGEST.0 => Kind::Link(target.into()),
        _ => return Err(damaged("a node of an impossible kind")),
    };
    let (place, space) = ((inode, keeper.device), space(NODE_COST + target.len())?);
    let node = Node::kept(place, mode, modified, kind, space, Rc::<Persistent>::clone(keeper));
    let end = size.div_ceil(PAGE as u64);
    keeper.keep(&node, end, pages.min(end));
    keeper.pages.set(keeper.pages.get().saturating_add(pages.min(end)));
    Ok(node)
}

fn is_name(name: &[u8]) -> bool {
    let has_wrong = name.iter().any(|&c| c == b'/' || c == 0);
    !name.is_empty() && name.len() <= LONGEST.1 && !has_wrong && !matches!(name, b"." | b"..")
}
