//! Files that outlive the domain. They are in memory, like [temporary](super::temporary) ones, and count as those do;
//! what has changed goes to a [store](super::store), in transactions.
//!
//! Whatever is known about files, and their names, is taken at one moment. Their pages are read while the transaction
//! is made, which takes time: what is written meanwhile may be part of this commit, and is part of the next one. So a
//! crash leaves the files as a commit had them, but for what was being written during it.

use alloc::boxed::Box;
use alloc::collections::btree_map::{BTreeMap, Entry};
use alloc::collections::btree_set::BTreeSet;
use alloc::rc::{Rc, Weak};
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ffi::c_int;
use core::ops::Range;
use core::task::{Poll, Waker};

use super::super::block::{NEVER, until};
use super::super::parts::{Errno, Result};
use super::block::PAGE;
use super::node::{Keeper, Kind, Node};
use super::store::{About, Changes, FORMAT, Key, Store};
use crate::errno::EDEADLK;
use crate::threads::number;

/// The files of one store.
pub(super) struct Persistent {
    pub(super) store: Box<dyn Store>,
    /// Where they are, for messages.
    path: String,
    pub(super) device: u64,
    /// The largest number that a node has had.
    pub(super) last_inode: Cell<u64>,
    /// The store is empty so far.
    pub(super) is_new: Cell<bool>,
    unsaved: RefCell<Unsaved>,
    /// Files that are mapped, and may have changed.
    mapped: RefCell<BTreeMap<u64, Weak<Node>>>,
    /// The thread that makes a commit.
    busy: Cell<Option<c_int>>,
    /// Whose turn it is, and the number of the next one who asks: a thread that commits again and again does not keep out
    /// another.
    turn: Cell<u64>,
    next: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
    /// The last commit failed, which was said.
    failed: Cell<bool>,
}

/// What is to be committed.
#[derive(Default)]
struct Unsaved {
    nodes: BTreeMap<u64, Change>,
    names: BTreeMap<(u64, Rc<[u8]>), Rename>,
}

/// What has changed of a node.
struct Change {
    /// Nothing if it is gone.
    node: Option<Rc<Node>>,
    /// The store does not have it.
    is_new: bool,
    /// What is known about it, and its size, since this was taken to be committed.
    about: Vec<u8>,
    size: u64,
    /// The store's pages from this one on are no longer the file's.
    cut: Option<u64>,
    pages: BTreeSet<u64>,
}

/// What a name leads to now.
struct Rename {
    to: Option<u64>,
    /// The store has the name.
    was_there: bool,
}

impl Change {
    fn new(node: Option<&Rc<Node>>, is_new: bool) -> Change {
        let (about, cut, pages) = (Vec::new(), None, BTreeSet::new());
        Change { node: node.cloned(), is_new, about, size: 0, cut, pages }
    }

    /// The file ends before this page.
    fn cut(&mut self, from: u64) {
        self.cut = Some(self.cut.map_or(from, |before| before.min(from)));
        drop(self.pages.split_off(&from));
    }
}

impl Unsaved {
    fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.names.is_empty()
    }

    fn change(&mut self, node: &Rc<Node>) -> &mut Change {
        self.nodes.entry(node.inode).or_insert_with(|| Change::new(Some(node), false))
    }

    fn remove(&mut self, inode: u64) {
        match self.nodes.entry(inode) {
            Entry::Occupied(change) if change.get().is_new => drop(change.remove()),
            Entry::Occupied(mut change) => *change.get_mut() = Change::new(None, false),
            Entry::Vacant(place) => drop(place.insert(Change::new(None, false))),
        }
    }

    fn rename(&mut self, directory: u64, name: &Rc<[u8]>, rename: Rename) {
        match self.names.entry((directory, Rc::clone(name))) {
            Entry::Occupied(before) if rename.to.is_none() && !before.get().was_there => {
                before.remove();
            }
            Entry::Occupied(mut before) => before.get_mut().to = rename.to,
            Entry::Vacant(place) => drop(place.insert(rename)),
        }
    }

    /// Takes back what could not be committed; what came after it counts. The store may have it all the same: an error
    /// can be about the last step.
    fn put_back(&mut self, failed: Unsaved) {
        for (inode, before) in failed.nodes {
            match self.nodes.entry(inode) {
                Entry::Vacant(place) => drop(place.insert(Change { is_new: false, ..before })),
                Entry::Occupied(mut after) => {
                    let after = after.get_mut();
                    let cut = after.cut.unwrap_or(u64::MAX);
                    after.pages.extend(before.pages.range(..cut));
                    after.cut = [after.cut, before.cut].into_iter().flatten().min();
                }
            }
        }
        for (name, before) in failed.names {
            match self.names.entry(name) {
                Entry::Vacant(place) => drop(place.insert(Rename { was_there: true, ..before })),
                Entry::Occupied(mut after) => after.get_mut().was_there = true,
            }
        }
    }

    /// Takes down what is known about the nodes at this moment.
    fn take_down(&mut self) {
        for change in self.nodes.values_mut() {
            let Some(node) = &change.node else { continue };
            let target = if let Kind::Link(target) = &node.kind { &target[..] } else { b"" };
            let (mode, modified) = (node.mode.get(), node.modified.get());
            let size = if let Kind::Written(contents) = &node.kind { contents.len() } else { 0 };
            change.about = About { mode, modified, size, target }.emit();
            change.size = size;
        }
    }

    /// Writes all of it to a transaction.
    fn write(&self, to: &mut dyn Changes) -> Result {
        for (&inode, change) in &self.nodes {
            let key = Key::Node(inode).emit();
            let cut = |to: &mut dyn Changes, from| {
                to.remove(&Key::Page(inode, from).emit(), &Key::Page(inode, u64::MAX).emit())
            };
            let Some(node) = &change.node else {
                to.remove(&key, &key)?;
                cut(to, 0)?;
                continue;
            };
            to.put(&key, &change.about)?;
            let Kind::Written(contents) = &node.kind else { continue };
            if let Some(from) = change.cut {
                cut(to, from)?;
            }
            let mut page = [0; PAGE];
            for &number in &change.pages {
                let key = Key::Page(inode, number).emit();
                if contents.page(number, &mut page) {
                    // What lies behind the end, by a mapping or since the size was taken down, would be in the file
                    // when it grows.
                    let left = change.size.saturating_sub(number * PAGE as u64);
                    let page = &page[..left.min(PAGE as u64) as usize];
                    let end = page.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                    to.put(&key, &page[..end])?;
                } else {
                    to.remove(&key, &key)?;
                }
            }
        }
        for ((directory, name), rename) in &self.names {
            let key = Key::Name(*directory, name).emit();
            match rename.to {
                Some(inode) => to.put(&key, &inode.to_le_bytes())?,
                None => to.remove(&key, &key)?,
            }
        }
        Ok(())
    }
}

impl Persistent {
    /// The files of a store, none of which has been read yet.
    pub(super) fn new(store: Box<dyn Store>, path: &str, device: u64) -> Persistent {
        Persistent {
            store,
            path: path.into(),
            device,
            last_inode: Cell::new(0),
            is_new: Cell::new(false),
            unsaved: RefCell::default(),
            mapped: RefCell::default(),
            busy: Cell::new(None),
            turn: Cell::new(0),
            next: Cell::new(0),
            waiting: RefCell::default(),
            failed: Cell::new(false),
        }
    }

    /// Changes what is to be committed; the store hears of the first change.
    fn change(&self, f: impl FnOnce(&mut Unsaved)) {
        let unsaved = &mut *self.unsaved.borrow_mut();
        let was_clean = unsaved.is_empty();
        f(unsaved);
        if was_clean && !unsaved.is_empty() {
            self.store.has_changes();
        }
    }

    /// A node of the store's that no name leads to.
    pub(super) fn forget(&self, inode: u64) {
        self.change(|unsaved| unsaved.remove(inode));
    }

    /// Forgets what was noted while the files were read from the store.
    pub(super) fn is_as_stored(&self) {
        self.unsaved.take();
    }

    /// Notes the pages of files that are mapped. Those that no longer are have been noted now.
    fn note_mapped(&self) {
        let files = self.mapped.take();
        for (inode, file) in files {
            let Some(node) = file.upgrade() else { continue };
            let Kind::Written(contents) = &node.kind else { continue };
            self.changed(&node, 0..contents.shared().min(contents.len().div_ceil(PAGE as u64)));
            if contents.is_mapped() {
                self.mapped.borrow_mut().insert(inode, file);
            }
        }
    }

    fn commit_now(&self) -> Result {
        self.note_mapped();
        let mut unsaved = self.unsaved.take();
        if unsaved.is_empty() {
            return Ok(());
        }
        unsaved.take_down();
        let result = self.store.transact(&mut |changes| {
            if self.is_new.get() {
                changes.put(&Key::Format.emit(), FORMAT)?;
            }
            unsaved.write(changes)
        });
        match result {
            Ok(()) => self.is_new.set(false),
            Err(Errno(error)) => {
                self.unsaved.borrow_mut().put_back(unsaved);
                if !self.failed.get() {
                    log::error!(
                        "what has changed in {} cannot be stored (error {error})",
                        self.path
                    );
                }
            }
        }
        self.failed.set(result.is_err());
        result
    }
}

impl Keeper for Persistent {
    fn next_inode(&self) -> u64 {
        self.last_inode.set(self.last_inode.get() + 1);
        self.last_inode.get()
    }

    fn created(&self, node: &Rc<Node>) {
        if is_kept(node) {
            let new = Change::new(Some(node), true);
            self.change(|unsaved| drop(unsaved.nodes.insert(node.inode, new)));
        }
    }

    fn changed(&self, node: &Rc<Node>, pages: Range<u64>) {
        match node.links.get() {
            _ if !is_kept(node) => {}
            // That it is gone was noted before.
            0 if !pages.is_empty() => {}
            0 => self.forget(node.inode),
            _ => self.change(|unsaved| unsaved.change(node).pages.extend(pages)),
        }
    }

    fn resized(&self, node: &Rc<Node>, len: u64) {
        if node.links.get() > 0 {
            self.change(|unsaved| {
                let change = unsaved.change(node);
                change.cut(len.div_ceil(PAGE as u64));
                if len % PAGE as u64 > 0 {
                    change.pages.insert(len / PAGE as u64);
                }
            });
        }
    }

    fn named(&self, directory: u64, name: &Rc<[u8]>, to: Option<&Node>, was_there: bool) {
        let to = to.filter(|node| is_kept(node)).map(|node| node.inode);
        if to.is_some() || was_there {
            self.change(|unsaved| unsaved.rename(directory, name, Rename { to, was_there }));
        }
    }

    fn mapped(&self, node: &Rc<Node>) {
        self.mapped.borrow_mut().insert(node.inode, Rc::downgrade(node));
    }

    fn commit(&self) -> Result {
        let is_clean = self.unsaved.borrow().is_empty() && self.mapped.borrow().is_empty();
        let (thread, busy) = (number(), self.busy.get());
        if is_clean && busy.is_none() {
            return Ok(());
        }
        if busy == Some(thread) {
            // The program is being ended on top of a commit, which cannot go on.
            return Err(Errno(EDEADLK));
        }
        // One at a time: a store may be asked by one thread only. Where nothing may wait, this fails first.
        let mine = self.next.get();
        self.next.set(mine + 1);
        let wait = until(NEVER, |cx| {
            if self.turn.get() != mine {
                self.waiting.borrow_mut().push(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(())
        });
        // It failed at once: nobody has asked since.
        wait.inspect_err(|_| self.next.set(mine))?;
        self.busy.set(Some(thread));
        let result = self.commit_now();
        self.busy.set(None);
        self.turn.set(mine + 1);
        self.waiting.take().into_iter().for_each(Waker::wake);
        result
    }
}

/// The name of a socket means nothing once the domain has ended.
fn is_kept(node: &Node) -> bool {
    !matches!(node.kind, Kind::Socket(_))
}
