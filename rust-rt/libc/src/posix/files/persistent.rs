//! Files that outlive the domain: they are in a [store](super::store), which is changed in transactions. What is known
//! about files, and their names, is in memory as well, like those of [temporary](super::temporary) ones; of their
//! contents, the pages that were asked for, as long as there is room, and those that have changed since the last commit.
//!
//! Whatever is known about files, and their names, is taken at one moment. Their pages are read while the transaction
//! is made, which takes time: what is written meanwhile may be part of this commit, and is part of the next one. So a
//! crash leaves the files as a commit had them, but for what was being written during it.

use alloc::boxed::Box;
use alloc::collections::btree_map::BTreeMap;
use alloc::rc::{Rc, Weak};
use alloc::string::String;
use core::cell::{Cell, RefCell};
use core::ops::Range;
use core::task::Poll;

use super::super::block::{NEVER, until};
use super::super::memory::{For, share};
use super::super::parts::{Errno, Result};
use super::super::turns::{Turn, Turns};
use super::below::Below;
use super::block::{PAGE, PAGE_COST};
use super::node::{Keeper, Kind, Node};
use super::store::{About, FORMAT, Key, Store};
use super::unsaved::{Rename, Stored, Unsaved};
use crate::errno::ENOSPC;

/// Of the memory for files, one part of so many may be pages that are still to be committed; whoever writes more waits
/// for that.
const UNSAVED_SHARE: usize = 2;

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
    /// Pages that the store has.
    pub(super) pages: Cell<u64>,
    /// What is to be committed, and what is being committed.
    unsaved: RefCell<Unsaved>,
    committing: RefCell<Option<Rc<Unsaved>>>,
    /// Files that are mapped, and may have changed.
    mapped: RefCell<BTreeMap<u64, Weak<Node>>>,
    /// Files with pages in memory that are in the store as well; and the one, and its page, from which on some of them
    /// give up their memory next.
    cached: RefCell<BTreeMap<u64, Weak<Node>>>,
    hand: Cell<(u64, u64)>,
    /// The store is asked one thing at a time; but for what is read while a commit is made.
    turns: Turns,
    /// The last commit failed, which was said.
    failed: Cell<bool>,
    this: Weak<Persistent>,
}

impl Persistent {
    /// The files of a store, none of which has been read yet.
    pub(super) fn new(store: Box<dyn Store>, path: &str, device: u64) -> Rc<Persistent> {
        Rc::new_cyclic(|this| Persistent {
            store,
            path: path.into(),
            device,
            last_inode: Cell::new(0),
            is_new: Cell::new(false),
            pages: Cell::new(0),
            unsaved: RefCell::default(),
            committing: RefCell::default(),
            mapped: RefCell::default(),
            cached: RefCell::default(),
            hand: Cell::new((0, 0)),
            turns: Turns::default(),
            failed: Cell::new(false),
            this: Weak::clone(this),
        })
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

    /// Where a file's contents are, of which the store has so many pages before `end`.
    pub(super) fn keep(&self, file: &Rc<Node>, end: u64, pages: u64) {
        let (Kind::Written(contents), Some(keeper)) = (&file.kind, self.this.upgrade()) else {
            return;
        };
        contents.set_below(Box::new(Kept {
            keeper,
            inode: file.inode,
            file: Rc::downgrade(file),
            end: Cell::new(end),
            pages: Cell::new(pages),
            changes: Cell::new(0),
            unnamed: Cell::new(false),
            turns: Turns::default(),
        }));
    }

    /// Pages that are not in the store as they are.
    fn unsaved_pages(&self) -> usize {
        let committing = self.committing.borrow().as_ref().map_or(0, |unsaved| unsaved.pages());
        self.unsaved.borrow().pages() + committing
    }

    /// Whether this page of a file is to be committed.
    fn is_unsaved(&self, inode: u64, page: u64) -> bool {
        let committing = self.committing.borrow();
        self.unsaved.borrow().has(inode, page)
            || committing.as_ref().is_some_and(|unsaved| unsaved.has(inode, page))
    }

    /// Whether nobody is in the middle of a change of what decides on who gives up memory.
    fn is_settled(&self) -> bool {
        let unsaved = [self.unsaved.try_borrow().is_ok(), self.committing.try_borrow().is_ok()];
        unsaved == [true; 2] && self.mapped.try_borrow().is_ok() && self.cached.try_borrow().is_ok()
    }

    /// Notes the pages of files that are mapped. Those that no longer are have been noted now.
    fn note_mapped(&self) {
        let mut from = 0;
        loop {
            let next = self
                .mapped
                .borrow()
                .range(from..)
                .next()
                .map(|(&inode, file)| (inode, file.upgrade()));
            let Some((inode, node)) = next else { break };
            let contents = node.as_ref().and_then(|node| match &node.kind {
                Kind::Written(contents) => Some((node, contents)),
                _ => None,
            });
            if let Some((node, contents)) = contents {
                contents.look(|page| self.changed(node, page..page + 1));
            }
            // Up to here it is among them: to look takes memory, for which pages give way that nothing is known of.
            if !contents.is_some_and(|(_, contents)| contents.is_mapped()) {
                self.mapped.borrow_mut().remove(&inode);
            }
            from = inode + 1;
        }
    }

    /// A turn to ask the store for something.
    ///
    /// # Errors
    ///
    /// EDEADLK where nothing may wait, and on a stack that asks it for something else; ENOMEM.
    fn turn(&self) -> Result<Turn<'_>> {
        let turn = self.turns.take()?;
        may_wait()?;
        Ok(turn)
    }

    fn commit_now(&self) -> Result {
        self.note_mapped();
        let unsaved = {
            // This takes memory, for which stored pages give way: on the way from one place to the other what has
            // changed would seem to be stored. While it is borrowed, nobody looks.
            let mut unsaved = self.unsaved.borrow_mut();
            if unsaved.is_empty() {
                return Ok(());
            }
            unsaved.take_down();
            let unsaved = Rc::new(core::mem::take(&mut *unsaved));
            self.committing.replace(Some(Rc::clone(&unsaved)));
            unsaved
        };
        let mut pages = 0;
        let counted = if self.failed.get() { self.count_again(&unsaved) } else { Ok(()) };
        let result = counted.and_then(|()| {
            self.store.transact(&mut |changes| {
                pages = self.pages.get();
                if self.is_new.get() {
                    changes.put(&Key::Format.emit(), FORMAT)?;
                }
                unsaved.write(changes, &mut pages)
            })
        });
        match result {
            Ok(()) => {
                self.committing.take();
                self.is_new.set(false);
                self.pages.set(pages);
                let stored = unsaved.stored(&self.unsaved.borrow());
                stored.into_iter().for_each(|stored| self.is_stored(stored));
            }
            Err(Errno(error)) => {
                let _held;
                // Borrowed over all of it, as above; what is held goes afterwards.
                let mut again = self.unsaved.borrow_mut();
                self.committing.take();
                if let Some(mut unsaved) = Rc::into_inner(unsaved) {
                    _held = unsaved.release();
                    again.put_back(unsaved);
                }
                drop(again);
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

    /// Asks the store how many pages it has: what failed at its last step may be there.
    fn count_again(&self, unsaved: &Unsaved) -> Result {
        let (mut all, mut found) = (0u64, BTreeMap::new());
        self.store.each(Key::NAMES, &mut |key, value| {
            if let (Some(Key::Node(inode)), Some(about)) = (Key::parse(key), About::parse(value)) {
                let pages = about.pages.min(about.size.div_ceil(PAGE as u64));
                all = all.saturating_add(pages);
                if unsaved.contents(inode).is_some() {
                    found.insert(inode, pages);
                }
            }
            Ok(())
        })?;
        // Not before all of them are known: it waits, and may fail.
        for (inode, contents) in unsaved.all_contents() {
            if let Some(below) = contents.below() {
                below.stored(below.end(), found.get(&inode).copied().unwrap_or(0));
            }
        }
        self.pages.set(all);
        Ok(())
    }

    fn is_stored(&self, Stored { file, end, pages }: Stored) {
        let Kind::Written(contents) = &file.kind else { return };
        if let Some(below) = contents.below() {
            below.stored(end, pages);
            self.cached.borrow_mut().insert(file.inode, Rc::downgrade(&file));
        }
    }
}

impl Keeper for Persistent {
    fn next_inode(&self) -> u64 {
        self.last_inode.set(self.last_inode.get() + 1);
        self.last_inode.get()
    }

    fn created(&self, node: &Rc<Node>) {
        if is_kept(node) {
            self.keep(node, 0, 0);
            self.change(|unsaved| unsaved.create(node));
        }
    }

    fn changed(&self, node: &Rc<Node>, pages: Range<u64>) {
        match node.links.get() {
            _ if !is_kept(node) => {}
            // That it has no name was noted before.
            0 if !pages.is_empty() => {}
            0 => {
                self.cached.borrow_mut().remove(&node.inode);
                let contents =
                    if let Kind::Written(contents) = &node.kind { contents.below() } else { None };
                if contents.is_some_and(Below::unnamed) {
                    self.change(|unsaved| unsaved.leave_out(node.inode));
                } else {
                    self.forget(node.inode);
                }
            }
            _ => self.change(|unsaved| unsaved.change(node, pages)),
        }
    }

    fn resized(&self, node: &Rc<Node>, len: u64) {
        if node.links.get() > 0 {
            let (end, within) = (len.div_ceil(PAGE as u64), len % PAGE as u64);
            self.change(|unsaved| {
                unsaved.cut(node, end);
                unsaved.change(node, end - u64::from(within > 0)..end);
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
        let before = self.mapped.borrow_mut().insert(node.inode, Rc::downgrade(node));
        if let (Kind::Written(contents), None) = (&node.kind, before) {
            // What it has now is stored, or is known to have changed.
            contents.look(drop);
        }
    }

    fn commit(&self) -> Result {
        let is_clean = self.unsaved.borrow().is_empty() && self.mapped.borrow().is_empty();
        // What is being committed is to survive as well when this returns.
        if is_clean && !(self.turns.is_taken() && self.committing.borrow().is_some()) {
            return Ok(());
        }
        let _turn = self.turn()?;
        self.commit_now()
    }

    fn room(&self) -> (u64, u64) {
        // Any page of a file that is mapped may be written.
        let mapped = self.mapped.borrow();
        let contents = mapped.values().filter_map(Weak::upgrade).map(|file| match &file.kind {
            Kind::Written(contents) => contents.shared().saturating_sub(contents.stored()),
            _ => 0,
        });
        let used = self.pages.get() + self.unsaved_pages() as u64 + contents.sum::<u64>();
        (self.store.pages(), self.store.pages().saturating_sub(used))
    }

    fn evict(&self) -> bool {
        if !self.is_settled() {
            return false;
        }
        let (inode, page) = self.hand.get();
        let cached = self.cached.borrow();
        // Once around; in the first file, the pages before the hand come last.
        let files = cached.range(inode..).chain(cached.range(..=inode));
        for (at, (&inode, file)) in files.enumerate() {
            let Some(file) = file.upgrade() else { continue };
            let Kind::Written(contents) = &file.kind else { continue };
            let from = if at == 0 && inode == self.hand.get().0 { page } else { 0 };
            // What a mapping has written is noted when it is committed.
            let is_stored =
                |page| !self.is_unsaved(inode, page) && !self.mapped.borrow().contains_key(&inode);
            if let Some(next) = contents.evict(from, &is_stored) {
                self.hand.set((inode, next));
                return true;
            }
        }
        false
    }
}

/// The contents of a file that persists.
struct Kept {
    keeper: Rc<Persistent>,
    inode: u64,
    file: Weak<Node>,
    /// Pages from this one on are not in the store.
    end: Cell<u64>,
    /// How many there are.
    pages: Cell<u64>,
    /// How often what the store has of it has changed.
    changes: Cell<u64>,
    /// It has no name, and goes when nobody has it open any more.
    unnamed: Cell<bool>,
    turns: Turns,
}

impl Kept {
    /// Whether the store has this page. Waits.
    #[inline(never)]
    fn replaces(&self, number: u64) -> Result<bool> {
        Ok(number < self.end.get() && self.fetch(number, &mut [0; PAGE])?)
    }
}

impl Below for Kept {
    fn end(&self) -> u64 {
        self.end.get()
    }

    fn pages(&self) -> u64 {
        self.pages.get()
    }

    fn fetch(&self, number: u64, to: &mut [u8; PAGE]) -> Result<bool> {
        let mut is_refused = false;
        loop {
            let changes = self.changes.get();
            // Beside a commit there is what was stored before it.
            let is_beside = !is_refused && self.keeper.committing.borrow().is_some();
            let turn =
                if is_beside { may_wait().map(|()| None) } else { self.keeper.turn().map(Some) }?;
            to.fill(0);
            let key = Key::Page(self.inode, number).emit();
            let got = self.keeper.store.get(&key, &mut |page| {
                let n = page.len().min(PAGE);
                to[..n].copy_from_slice(&page[..n]);
            });
            drop(turn);
            let is_there = match got {
                // What the commit has met may be the reason.
                Err(_) if is_beside => {
                    is_refused = true;
                    continue;
                }
                got => got?,
            };
            if number >= self.end.get() {
                to.fill(0);
                return Ok(false);
            }
            // It may be an old one if the file was committed or cut meanwhile.
            if self.changes.get() == changes {
                if !self.unnamed.get() {
                    let mut cached = self.keeper.cached.borrow_mut();
                    cached.entry(self.inode).or_insert_with(|| Weak::clone(&self.file));
                }
                return Ok(is_there);
            }
        }
    }

    fn turn(&self) -> Result<Turn<'_>> {
        self.turns.take()
    }

    fn make_room(&self, number: u64) -> Result {
        let keeper = &*self.keeper;
        // What has no name is in memory only.
        if self.file.upgrade().is_none_or(|file| file.links.get() == 0) {
            return Ok(());
        }
        if keeper.unsaved_pages() >= share(For::Files) / PAGE_COST / UNSAVED_SHARE {
            keeper.commit()?;
        }
        if keeper.room().1 > 0 || keeper.is_unsaved(self.inode, number) || self.replaces(number)? {
            return Ok(());
        }
        // How much of what has changed only replaces something is known afterwards.
        keeper.commit()?;
        if keeper.room().1 > 0 { Ok(()) } else { Err(Errno(ENOSPC)) }
    }

    fn allocate(&self, pages: Range<u64>) -> Result {
        // Those that are stored already may be among them.
        let there = pages.end.min(self.end.get()).saturating_sub(pages.start).min(self.pages.get());
        let wanted = (pages.end - pages.start).saturating_sub(there);
        if wanted > self.keeper.room().1 { Err(Errno(ENOSPC)) } else { Ok(()) }
    }

    fn clean(&self) -> Result {
        self.keeper.commit()
    }

    fn changed(&self, number: u64) {
        if let Some(file) = self.file.upgrade() {
            self.keeper.changed(&file, number..number + 1);
        }
    }

    fn cut(&self, from: u64) {
        self.end.set(self.end.get().min(from));
        self.changes.set(self.changes.get() + 1);
    }

    fn stored(&self, end: u64, pages: u64) {
        self.end.set(end);
        self.pages.set(pages);
        self.changes.set(self.changes.get() + 1);
    }

    fn unnamed(&self) -> bool {
        self.unnamed.set(self.end.get() > 0);
        self.unnamed.get()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.unnamed.get() {
            self.keeper.forget(self.inode);
        }
    }
}

/// The store is going to wait: if it may not, this is what fails.
///
/// # Errors
///
/// EDEADLK.
fn may_wait() -> Result {
    until(NEVER, None, |_| Poll::Ready(())).map(drop)
}

/// The name of a socket means nothing once the domain has ended.
fn is_kept(node: &Node) -> bool {
    !matches!(node.kind, Kind::Socket(_))
}
