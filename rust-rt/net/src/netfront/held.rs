//! What outlives a connection: payload that its sender must not touch yet, and grants that the backend has not
//! released.

use crate::pool::PageNo;
use alloc::{collections::VecDeque, vec::Vec};
use mirust_xen::gnttab::GrantTable;
use mirust_xen::ring::shadow::Shadow;
use mirust_xen::wire::GrantRef;

/// What may use the memory again once a grant has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    /// The sender of the payload with this number.
    Payload(u16),
    /// A page for heads.
    Head(usize),
    /// A page of the pool.
    Receive(PageNo),
}

#[derive(Debug)]
pub(super) struct Held {
    /// By the payload's number: how many grants of it have not ended.
    payloads: Shadow<u32>,
    done: VecDeque<u16>,
    stuck: Vec<(GrantRef, Owner)>,
}

impl Held {
    pub fn new(payloads: u16) -> Held {
        let done = VecDeque::with_capacity(payloads as usize);
        Held { payloads: Shadow::new(payloads), done, stuck: Vec::new() }
    }

    /// A number for payload that takes `grants` grants.
    pub fn begin(&mut self, grants: u32) -> Option<u16> {
        self.payloads.insert(grants).ok()
    }

    /// Nothing of the payload was granted after all.
    pub fn cancel(&mut self, payload: u16) {
        self.payloads.take(payload).expect("it was begun");
    }

    /// One of the payload's grants has ended.
    pub fn ended(&mut self, payload: u16) {
        let left = self.payloads.get_mut(payload).expect("its grants are counted");
        *left -= 1;
        if *left == 0 {
            self.done.push_back(payload);
        }
    }

    /// A grant could not be ended: its owner has to wait.
    pub fn stuck(&mut self, gref: GrantRef, owner: Owner) {
        self.stuck.push((gref, owner));
    }

    /// The next payload that its sender can have back. Only now can its number be given again: the
    /// sender still knows the payload by it.
    pub fn completed(&mut self) -> Option<u16> {
        let payload = self.done.pop_front()?;
        self.payloads.take(payload).expect("numbered until now");
        Some(payload)
    }

    pub fn has_completed(&self) -> bool {
        !self.done.is_empty()
    }

    pub fn is_stuck(&self) -> bool {
        !self.stuck.is_empty()
    }

    /// Tries again to end what is stuck. Pages go back through `give_back`.
    pub fn retry(&mut self, grants: &GrantTable, mut give_back: impl FnMut(Owner)) {
        let stuck = core::mem::take(&mut self.stuck);
        for (gref, owner) in stuck {
            if grants.end(gref).is_err() {
                self.stuck.push((gref, owner));
                continue;
            }
            match owner {
                Owner::Payload(payload) => self.ended(payload),
                page => give_back(page),
            }
        }
    }
}
