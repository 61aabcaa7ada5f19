//! An epoll set: its members, and which of them may be ready.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::ffi::c_int;
use core::mem::MaybeUninit;

use super::super::events::Events;
use super::super::memory;
use super::super::object::{Object, downcast};
use super::super::parts::{Errno, Result};
use super::super::table::Description;
use super::super::watch::{Watcher, Watchers};
use super::entry::{Entry, State};
use crate::errno::{EEXIST, ELOOP, ENOENT, ENOMEM};
use crate::layout::Stat;

/// `struct epoll_event`, which is packed on x86-64.
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub(in super::super) struct Event {
    pub(in super::super) events: u32,
    pub(in super::super) data: u64,
}

/// Sets inside sets inside sets: as deep as on Linux.
const DEEPEST: usize = 5;

/// The set.
pub(super) struct Set {
    this: Weak<dyn Watcher>,
    members: RefCell<Members>,
    watchers: Watchers,
}

#[derive(Default)]
struct Members {
    slots: Vec<Option<Member>>,
    free: Vec<usize>,
    by_number: BTreeMap<c_int, usize>,
    queue: VecDeque<usize>,
}

impl Members {
    /// Room for one more, also among those that are ready or gone: what happens to it later takes no memory.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    fn reserve(&mut self) -> Result {
        let all = self.slots.len() + 1;
        let (free, queued) = (all - self.free.len(), all - self.queue.len());
        memory::reserve(&mut self.slots, 1)?;
        memory::reserve(&mut self.free, free)?;
        self.queue.try_reserve(queued).map_err(|_| Errno(ENOMEM))?;
        // For the map.
        memory::need(memory::THING)
    }
}

struct Member {
    fd: c_int,
    description: Weak<Description>,
    data: u64,
    entry: Entry,
}

/// A member that may be ready.
struct Candidate {
    at: usize,
    description: Rc<Description>,
    interest: Events,
    edges: Events,
}

impl Set {
    pub(super) fn new() -> Rc<Self> {
        Rc::new_cyclic(|this: &Weak<Set>| Set {
            this: this.clone(),
            members: RefCell::default(),
            watchers: Watchers::new(),
        })
    }

    /// A member's slot, if `fd` still refers to the same object.
    fn find(&self, fd: c_int, description: &Rc<Description>) -> Option<usize> {
        let members = self.members.borrow();
        let at = *members.by_number.get(&fd)?;
        let member = members.slots[at].as_ref()?;
        Weak::ptr_eq(&member.description, &Rc::downgrade(description)).then_some(at)
    }

    pub(super) fn add(&self, fd: c_int, description: &Rc<Description>, event: Event) -> Result {
        if self.find(fd, description).is_some() {
            return Err(Errno(EEXIST));
        }
        if let Some(inner) = downcast::<Set>(&description.object) {
            inner.check_nesting(self, 1)?;
        }
        description.object.watchers().reserve()?;
        self.members.borrow_mut().reserve()?;
        let at = {
            let mut members = self.members.borrow_mut();
            let (entry, data) = (Entry::new(event.events), event.data);
            let member = Member { fd, description: Rc::downgrade(description), data, entry };
            let at = match members.free.pop() {
                Some(at) => {
                    members.slots[at] = Some(member);
                    at
                }
                None => {
                    members.slots.push(Some(member));
                    members.slots.len() - 1
                }
            };
            // The number may have referred to something else that is still open elsewhere.
            members.by_number.insert(fd, at);
            members.queue.push_back(at);
            at
        };
        description.object.watchers().add(self.this.clone(), at);
        self.tell();
        Ok(())
    }

    /// Whether `outer` could get this set as a member.
    fn check_nesting(&self, outer: &Set, depth: usize) -> Result {
        if depth >= DEEPEST || core::ptr::eq(self, outer) {
            return Err(Errno(ELOOP));
        }
        let members = self.members.borrow();
        let inner = members.slots.iter().flatten().filter_map(|m| m.description.upgrade());
        let mut sets = inner.filter_map(|description| downcast::<Set>(&description.object));
        sets.try_for_each(|set| set.check_nesting(outer, depth + 1))
    }

    pub(super) fn modify(&self, fd: c_int, description: &Rc<Description>, event: Event) -> Result {
        let at = self.find(fd, description).ok_or(Errno(ENOENT))?;
        {
            let mut members = self.members.borrow_mut();
            let Some(member) = &mut members.slots[at] else { return Err(Errno(ENOENT)) };
            let queued = member.entry.state == State::Queued;
            (member.entry, member.data) = (Entry::new(event.events), event.data);
            if !queued {
                members.queue.push_back(at);
            }
        }
        self.tell();
        Ok(())
    }

    pub(super) fn delete(&self, fd: c_int, description: &Rc<Description>) -> Result {
        let at = self.find(fd, description).ok_or(Errno(ENOENT))?;
        description.object.watchers().remove(&self.this, at);
        self.forget(at);
        Ok(())
    }

    fn forget(&self, at: usize) {
        let mut members = self.members.borrow_mut();
        if let Some(member) = members.slots.get_mut(at).and_then(Option::take) {
            if members.by_number.get(&member.fd) == Some(&at) {
                members.by_number.remove(&member.fd);
            }
            members.queue.retain(|&queued| queued != at);
            members.free.push(at);
        }
    }

    fn tell(&self) {
        self.watchers.notify(Events::IN);
    }

    /// Checks all members that may be ready, and reports those that are, as many as fit.
    pub(super) fn collect(&self, events: &mut [MaybeUninit<Event>]) -> usize {
        let mut n = 0;
        let queued = self.members.borrow().queue.len();
        for _ in 0..queued {
            if n == events.len() {
                break;
            }
            match self.next() {
                None => break,
                Some(None) => {}
                Some(Some(event)) => {
                    events[n].write(event);
                    n += 1;
                }
            }
        }
        n
    }

    /// Takes a member from the queue, to query its object.
    fn candidate(&self) -> Option<Candidate> {
        let mut members = self.members.borrow_mut();
        loop {
            let at = members.queue.pop_front()?;
            let Some(member) = members.slots[at].as_mut() else { continue };
            let (edges, interest) = (member.entry.look(), member.entry.interest());
            if let Some(description) = member.description.upgrade() {
                return Some(Candidate { at, description, interest, edges });
            }
        }
    }

    /// Takes a member from the queue, and returns what it is ready for, if anything; `None` if the queue is empty.
    fn next(&self) -> Option<Option<Event>> {
        let Candidate { at, description, interest, edges } = self.candidate()?;
        // With no borrow held: the object may send a notification at once.
        let found = description.object.poll(interest);
        let mut members = self.members.borrow_mut();
        let Some(member) = members.slots[at].as_mut() else { return Some(None) };
        let (report, again) = member.entry.found(edges, found);
        let event = Event { events: report.0, data: member.data };
        if again {
            members.queue.push_back(at);
        }
        Some((!report.is_empty()).then_some(event))
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        let members = self.members.borrow();
        (members.slots.iter().flatten().count(), members.queue.len())
    }
}

impl Watcher for Set {
    fn changed(&self, at: usize, events: Events, quiet: bool) {
        let queued = {
            let mut members = self.members.borrow_mut();
            let member = members.slots.get_mut(at).and_then(Option::as_mut);
            let queued = member.is_some_and(|m| m.entry.changed(events, quiet));
            if queued {
                members.queue.push_back(at);
            }
            queued
        };
        // A quiet notification concerns only current waiters: later ones check first.
        if queued && (!quiet || self.watchers.is_awaited(Events::IN)) {
            self.tell();
        }
    }

    fn gone(&self, at: usize) {
        self.forget(at);
    }
}

impl Object for Set {
    fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// Readable when a member is ready.
    fn poll(&self, interest: Events) -> Events {
        if !interest.intersects(Events::IN) {
            return Events::NONE;
        }
        // A member that is not ready leaves the queue: its notification triggers ours.
        let ready = loop {
            let Some(candidate) = self.candidate() else { break false };
            let Candidate { at, description, interest, edges } = candidate;
            let found = description.object.poll(interest);
            let mut members = self.members.borrow_mut();
            let Some(member) = members.slots[at].as_mut() else { continue };
            let mut asked = member.entry;
            if asked.found(edges, found).0.is_empty() {
                continue;
            }
            let queued = member.entry.state == State::Queued;
            member.entry.put_back(edges);
            if !queued {
                members.queue.push_front(at);
            }
            break true;
        };
        Events::IN.when(ready)
    }

    fn stat(&self) -> Stat {
        Stat::anonymous()
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        for (at, member) in self.members.take().slots.iter().enumerate() {
            let description = member.as_ref().and_then(|m| m.description.upgrade());
            if let Some(description) = description {
                description.object.watchers().remove(&self.this, at);
            }
        }
    }
}
