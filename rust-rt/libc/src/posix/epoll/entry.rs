//! One descriptor in an epoll set, as a state machine.
//!
//! ```text
//!              changed                     found something
//!   ┌──────┐ ───────────► ┌────────┐ ──────────────────────► report, and then
//!   │ IDLE │              │ QUEUED │    level: QUEUED   edge: IDLE   once: SPENT
//!   └──────┘ ◄─────────── └────────┘
//!        found nothing        ▲
//!                             │ modified
//!                         ┌───────┐
//!                         │ SPENT │
//!                         └───────┘
//! ```
//!
//! An entry is queued when its object may be ready; whether it is, is checked when somebody waits.

use super::super::events::Events;

/// Reports an edge only.
pub(super) const EPOLLET: u32 = 1 << 31;
/// Reports once, until it is modified.
pub(super) const EPOLLONESHOT: u32 = 1 << 30;

/// Where an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Waits for a notification.
    Idle,
    /// Is in the set's queue, to be checked.
    Queued,
    /// Has been reported once, and is silent.
    Spent,
}

/// The state of an entry, independent of all others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) state: State,
    interest: Events,
    flags: u32,
    /// Edges that were not reported yet.
    edges: Events,
}

impl Entry {
    /// A new entry is checked: it may already be ready.
    pub(super) fn new(events: u32) -> Self {
        let flags = events & (EPOLLET | EPOLLONESHOT);
        let interest = Events(events & 0xffff) | Events::ALWAYS;
        Entry { state: State::Queued, interest, flags, edges: interest }
    }

    /// The events to poll the object for.
    pub(super) fn interest(&self) -> Events {
        self.interest
    }

    /// A notification has arrived. True if the entry was not queued, and has to be.
    pub(super) fn changed(&mut self, events: Events, quiet: bool) -> bool {
        let events = events & self.interest;
        match self.state {
            _ if events.is_empty() => false,
            State::Spent => false,
            // A level is checked again after each report, so nothing is missed.
            State::Idle | State::Queued if quiet && self.flags & EPOLLET == 0 => false,
            State::Queued => {
                self.edges |= events;
                false
            }
            State::Idle => {
                self.edges |= events;
                self.state = State::Queued;
                true
            }
        }
    }

    /// It has left the queue and its object is about to be polled; notifications may arrive meanwhile. Returns the
    /// edges that count.
    pub(super) fn look(&mut self) -> Events {
        if self.state == State::Queued {
            self.state = State::Idle;
        }
        core::mem::take(&mut self.edges)
    }

    /// It was only checked for others, and is ready: it stays in the queue.
    pub(super) fn put_back(&mut self, edges: Events) {
        self.edges |= edges;
        self.state = State::Queued;
    }

    /// The object has been polled. Returns what to report, and whether the entry has to be queued again.
    pub(super) fn found(&mut self, edges: Events, found: Events) -> (Events, bool) {
        let found = found & self.interest;
        let edge = self.flags & EPOLLET != 0;
        if self.state == State::Spent || found.is_empty() || edge && !found.intersects(edges) {
            return (Events::NONE, false);
        }
        if self.flags & EPOLLONESHOT != 0 {
            self.state = State::Spent;
            return (found, false);
        }
        let again = !edge && self.state == State::Idle;
        if again {
            self.state = State::Queued;
        }
        (found, again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVEL: u32 = 1;
    const EDGE: u32 = 1 | EPOLLET;
    const ONCE: u32 = 1 | EPOLLONESHOT;
    const EDGE_ONCE: u32 = 1 | EPOLLET | EPOLLONESHOT;

    fn entry(events: u32, state: State) -> Entry {
        let mut entry = Entry::new(events);
        (entry.state, entry.edges) = (state, Events::NONE);
        entry
    }

    /// Every state, every kind of entry, every input: the state after it, and what is to be done.
    #[test]
    fn every_pair_of_state_and_event() {
        use State::{Idle, Queued, Spent};
        let (input, other, none) = (Events::IN, Events::OUT, Events::NONE);
        // A notice: (state, of another event, real, quiet for a level, quiet for an edge).
        for (state, unasked, real, quiet_level, quiet_edge) in [
            (Idle, (Idle, false), (Queued, true), (Idle, false), (Queued, true)),
            (Queued, (Queued, false), (Queued, false), (Queued, false), (Queued, false)),
            (Spent, (Spent, false), (Spent, false), (Spent, false), (Spent, false)),
        ] {
            for kind in [LEVEL, EDGE, ONCE, EDGE_ONCE] {
                let after = |events, quiet| {
                    let mut e = entry(kind, state);
                    let queue = e.changed(events, quiet);
                    (e.state, queue)
                };
                assert_eq!(after(other, false), unasked, "{state:?} {kind:x} unasked");
                assert_eq!(after(input, false), real, "{state:?} {kind:x} real");
                assert_eq!(after(Events::HUP, false), real, "{state:?} {kind:x} hang-up");
                let quiet = if kind & EPOLLET == 0 { quiet_level } else { quiet_edge };
                assert_eq!(after(input, true), quiet, "{state:?} {kind:x} quiet");
            }
        }
        // Looked at: out of the queue. What was found, with the edge and without.
        for (kind, with_edge, without) in [
            (LEVEL, (input, true, Queued), (input, true, Queued)),
            (EDGE, (input, false, Idle), (none, false, Idle)),
            (ONCE, (input, false, Spent), (input, false, Spent)),
            (EDGE_ONCE, (input, false, Spent), (none, false, Idle)),
        ] {
            for state in [Idle, Queued, Spent] {
                let after = |edges, found| {
                    let mut e = entry(kind, state);
                    e.look();
                    let (report, again) = e.found(edges, found);
                    (report, again, e.state)
                };
                let spent = (none, false, Spent);
                let idle = (none, false, Idle);
                let or_spent = |normal| if state == Spent { spent } else { normal };
                assert_eq!(after(input, input), or_spent(with_edge), "{state:?} {kind:x}");
                assert_eq!(after(none, input), or_spent(without), "{state:?} {kind:x}");
                assert_eq!(after(input, none), or_spent(idle), "{state:?} {kind:x}");
                assert_eq!(after(input, other), or_spent(idle), "{state:?} {kind:x}");
            }
        }
    }

    #[test]
    fn who_is_looked_at_for_others_keeps_its_edges() {
        let mut e = Entry::new(EDGE);
        let edges = e.look();
        e.put_back(edges);
        assert_eq!((e.state, e.look()), (State::Queued, edges));
    }

    #[test]
    fn a_notice_while_it_is_looked_at_is_kept() {
        for kind in [LEVEL, EDGE] {
            let mut e = Entry::new(kind);
            let edges = e.look();
            assert!(e.changed(Events::IN, false));
            let (report, again) = e.found(edges, Events::IN);
            assert_eq!((report, again, e.state), (Events::IN, false, State::Queued));
            assert_eq!(e.look(), Events::IN);
        }
    }
}
