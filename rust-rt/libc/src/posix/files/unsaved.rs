//! What has changed of files that persist, and is not in their [store](super::store) yet.

use alloc::collections::btree_map::{BTreeMap, Entry};
use alloc::collections::btree_set::BTreeSet;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::Cell;
use core::ops::Range;

use super::super::parts::Result;
use super::block::PAGE;
use super::contents::Contents;
use super::node::{Kind, Node};
use super::store::{About, Changes, Key};

/// What is to be committed.
#[derive(Default)]
pub(super) struct Unsaved {
    nodes: BTreeMap<u64, Change>,
    names: BTreeMap<(u64, Rc<[u8]>), Rename>,
    /// Pages of files among it.
    pages: usize,
}

/// What has changed of a node.
struct Change {
    /// Nothing if it is gone.
    node: Option<Weak<Node>>,
    /// The same, while it is being committed.
    held: Option<Rc<Node>>,
    /// The store does not have it.
    is_new: bool,
    /// What is known about it, but for the pages that are stored; filled in when it is committed.
    mode: u32,
    modified: u64,
    size: u64,
    target: Vec<u8>,
    /// The store's pages from this one on are no longer the file's.
    cut: Option<u64>,
    pages: BTreeSet<u64>,
    /// How many pages the store has of it after the commit.
    stored: Cell<u64>,
}

/// What a name leads to now.
pub(super) struct Rename {
    pub(super) to: Option<u64>,
    /// The store has the name.
    pub(super) was_there: bool,
}

/// What a commit has stored of a file.
pub(super) struct Stored {
    pub(super) file: Rc<Node>,
    /// Pages from this one on are not in the store.
    pub(super) end: u64,
    /// How many there are.
    pub(super) pages: u64,
}

impl Change {
    fn new(node: Option<&Rc<Node>>, is_new: bool) -> Change {
        let (cut, pages, stored) = (is_new.then_some(0), BTreeSet::new(), Cell::new(0));
        let (mode, modified, size, target) = (0, 0, 0, Vec::new());
        let (node, held) = (node.map(Rc::downgrade), None);
        Change { node, held, is_new, mode, modified, size, target, cut, pages, stored }
    }

    /// Writes it to a transaction.
    fn write(&self, inode: u64, to: &mut dyn Changes, total: &mut u64) -> Result {
        let key = Key::Node(inode).emit();
        let cut = |to: &mut dyn Changes, total: &mut u64, from| {
            let keys = [from, u64::MAX].map(|page| Key::Page(inode, page).emit());
            to.remove(&keys[0], &keys[1]).inspect(|gone| *total = total.saturating_sub(*gone))
        };
        let Some(node) = &self.held else {
            to.remove(&key, &key)?;
            return cut(to, total, 0).map(drop);
        };
        let mut stored = 0;
        if let Kind::Written(contents) = &node.kind {
            stored = contents.stored();
            if let Some(from) = self.cut {
                stored = stored.saturating_sub(cut(to, total, from)?);
            }
            let mut page = [0; PAGE];
            for &number in &self.pages {
                // A hole at the end of a file that was cut.
                if !contents.store(number, &mut page) {
                    continue;
                }
                // What lies behind the end, by a mapping or since the size was taken down, would be in the file when
                // it grows.
                let left = self.size.saturating_sub(number * PAGE as u64);
                let page = &page[..left.min(PAGE as u64) as usize];
                let end = page.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                let new = u64::from(to.put(&Key::Page(inode, number).emit(), &page[..end])?);
                (stored, *total) = (stored + new, *total + new);
            }
        }
        self.stored.set(stored);
        let Change { mode, modified, size, .. } = *self;
        let about = About { mode, modified, size, pages: stored, target: &self.target };
        to.put(&key, &about.emit()).map(drop)
    }
}

impl Unsaved {
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.names.is_empty()
    }

    /// How many pages of files are among it.
    pub(super) fn pages(&self) -> usize {
        self.pages
    }

    /// Whether this page is.
    pub(super) fn has(&self, inode: u64, page: u64) -> bool {
        self.nodes.get(&inode).is_some_and(|change| change.pages.contains(&page))
    }

    fn entry(&mut self, node: &Rc<Node>) -> &mut Change {
        self.nodes.entry(node.inode).or_insert_with(|| Change::new(Some(node), false))
    }

    pub(super) fn create(&mut self, node: &Rc<Node>) {
        self.nodes.insert(node.inode, Change::new(Some(node), true));
    }

    /// What is known about the node was changed, and these pages.
    pub(super) fn change(&mut self, node: &Rc<Node>, pages: Range<u64>) {
        let changed = &mut self.entry(node).pages;
        let new = pages.filter(|&page| changed.insert(page)).count();
        self.pages += new;
    }

    /// The file ends before this page.
    pub(super) fn cut(&mut self, node: &Rc<Node>, from: u64) {
        let change = self.entry(node);
        change.cut = Some(change.cut.map_or(from, |before| before.min(from)));
        let gone = change.pages.split_off(&from).len();
        self.pages -= gone;
    }

    /// Nothing of the node is to be stored.
    pub(super) fn leave_out(&mut self, inode: u64) {
        if let Some(change) = self.nodes.remove(&inode) {
            self.pages -= change.pages.len();
        }
    }

    /// The node is gone.
    pub(super) fn remove(&mut self, inode: u64) {
        let is_new = self.nodes.get(&inode).is_some_and(|change| change.is_new);
        self.leave_out(inode);
        if !is_new {
            self.nodes.insert(inode, Change { cut: None, ..Change::new(None, false) });
        }
    }

    pub(super) fn rename(&mut self, directory: u64, name: &Rc<[u8]>, rename: Rename) {
        match self.names.entry((directory, Rc::clone(name))) {
            Entry::Occupied(before) if rename.to.is_none() && !before.get().was_there => {
                before.remove();
            }
            Entry::Occupied(mut before) => before.get_mut().to = rename.to,
            Entry::Vacant(place) => drop(place.insert(rename)),
        }
    }

    /// What the files hold that are being committed, and one of them.
    pub(super) fn all_contents(&self) -> impl Iterator<Item = (u64, &Contents)> {
        self.nodes.keys().filter_map(|&inode| Some((inode, self.contents(inode)?)))
    }

    pub(super) fn contents(&self, inode: u64) -> Option<&Contents> {
        match &self.nodes.get(&inode)?.held.as_ref()?.kind {
            Kind::Written(contents) => Some(contents),
            _ => None,
        }
    }

    /// Lets go of the nodes that are being committed. The last one who has such a node may be whom this gives it to, and
    /// what is to be committed changes when it is dropped.
    #[must_use]
    pub(super) fn release(&mut self) -> Vec<Rc<Node>> {
        self.nodes.values_mut().filter_map(|change| change.held.take()).collect()
    }

    /// Takes back what could not be committed; what came after it counts. The store may have it all the same: an error
    /// can be about the last step.
    pub(super) fn put_back(&mut self, failed: Unsaved) {
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
        self.pages = self.nodes.values().map(|change| change.pages.len()).sum();
    }

    /// Takes down what is known about the nodes at this moment.
    pub(super) fn take_down(&mut self) {
        for change in self.nodes.values_mut() {
            let Some(node) = change.node.as_ref().and_then(Weak::upgrade) else { continue };
            if let Kind::Link(target) = &node.kind {
                change.target = target.to_vec();
            }
            (change.mode, change.modified) = (node.mode.get(), node.modified.get());
            change.size = if let Kind::Written(contents) = &node.kind { contents.len() } else { 0 };
            change.held = Some(node);
        }
    }

    /// Writes all of it to a transaction, and keeps count of the pages that the store has.
    pub(super) fn write(&self, to: &mut dyn Changes, total: &mut u64) -> Result {
        for (&inode, change) in &self.nodes {
            change.write(inode, to, total)?;
        }
        for ((directory, name), rename) in &self.names {
            let key = Key::Name(*directory, name).emit();
            match rename.to {
                Some(inode) => drop(to.put(&key, &inode.to_le_bytes())?),
                None => drop(to.remove(&key, &key)?),
            }
        }
        Ok(())
    }

    /// What the files are in the store, now that this has been committed; not those that have no name any more. `since`
    /// is what has changed meanwhile.
    pub(super) fn stored(&self, since: &Unsaved) -> Vec<Stored> {
        let stored = self.nodes.iter().filter_map(|(inode, change)| {
            let file = Rc::clone(change.held.as_ref()?);
            let is_kept = file.links.get() > 0 && matches!(file.kind, Kind::Written(_));
            let cut = since.nodes.get(inode).and_then(|change| change.cut).unwrap_or(u64::MAX);
            let end = change.size.div_ceil(PAGE as u64).min(cut);
            is_kept.then(|| Stored { file, end, pages: change.stored.get() })
        });
        stored.collect()
    }
}
