//! Groups that the stack has joined, and what the backend knows of them.

use super::{common::Common, tx::TxQueue};
use crate::Mac;
use alloc::{collections::BTreeSet, vec::Vec};

#[derive(Default)]
pub(super) struct Groups {
    joined: BTreeSet<Mac>,
    /// Those that the backend has been told of since it was connected.
    told: BTreeSet<Mac>,
    /// It is to be told of changes, as soon as there is room.
    pub untold: bool,
    /// It is to be asked to let only these through.
    pub filter: bool,
}

impl Groups {
    pub fn is_empty(&self) -> bool {
        self.joined.is_empty()
    }

    /// The stack has joined a group, or left it.
    pub fn change(&mut self, group: Mac, join: bool) {
        let changed = if join { self.joined.insert(group) } else { self.joined.remove(&group) };
        // The first one: before, there was nothing that a filter could let through.
        self.filter |= join && changed && self.joined.len() == 1;
    }

    /// Another backend knows of none.
    pub fn forget(&mut self) {
        self.told.clear();
        self.untold = false;
    }

    /// Tells a connected backend what has changed, if it can filter.
    pub fn tell(&mut self, tx: &mut TxQueue, common: &mut Common) {
        if !tx.has_filter() {
            return;
        }
        let changes: Vec<Mac> = self.joined.symmetric_difference(&self.told).copied().collect();
        self.untold = !changes.into_iter().all(|group| {
            let join = self.joined.contains(&group);
            let there_was_room = tx.multicast(common, group, join);
            if there_was_room {
                let _ = if join { self.told.insert(group) } else { self.told.remove(&group) };
            }
            there_was_room
        });
    }
}
