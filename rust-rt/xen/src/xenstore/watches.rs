//! The watches of a connection, by token, and their events that nobody has taken yet.

use super::{error::Error, numbered::Numbered};
use alloc::{collections::VecDeque, string::String, vec::Vec};
use core::task::Waker;

/// Different paths that a watch remembers before it falls back on the watched one.
const EVENTS_MAX: usize = 64;

pub(super) struct Watches {
    watches: Numbered<State>,
    next_token: u32,
}

struct State {
    path: String,
    events: VecDeque<String>,
    /// The connection has failed since the last event was taken.
    failed: bool,
    waker: Option<Waker>,
}

impl Watches {
    pub(super) fn new() -> Watches {
        Watches { watches: Numbered::new(), next_token: 1 }
    }

    /// Adds a watch; its token.
    pub(super) fn add(&mut self, path: &str) -> u32 {
        let token = self.next_token;
        // 2³² watches take longer than any domain runs.
        self.next_token += 1;
        let (path, events) = (path.into(), VecDeque::new());
        self.watches.add(token, State { path, events, failed: false, waker: None });
        token
    }

    /// Forgets a watch; the path if there was one.
    pub(super) fn remove(&mut self, token: u32) -> Option<String> {
        self.watches.remove(token).map(|watch| watch.path)
    }

    /// Tokens and paths.
    pub(super) fn list(&self) -> Vec<(u32, String)> {
        self.watches.iter().map(|(token, watch)| (token, watch.path.clone())).collect()
    }

    /// Something has happened at a path. No such watch is no oddity: the event may have crossed the end of the watch.
    pub(super) fn put_event(&mut self, token: &str, path: String, wakers: &mut Vec<Waker>) {
        let Some(watch) = token.parse().ok().and_then(|token: u32| self.watches.get_mut(token))
        else {
            return;
        };
        if watch.events.len() >= EVENTS_MAX {
            watch.events.clear();
            watch.events.push_back(watch.path.clone());
        } else if !watch.events.contains(&path) {
            watch.events.push_back(path);
        }
        wakers.extend(watch.waker.take());
    }

    /// The path of the next event of a watch, if there is one.
    pub(super) fn take_event(&mut self, token: u32) -> Option<Result<String, Error>> {
        let watch = self.watches.get_mut(token)?;
        if core::mem::take(&mut watch.failed) {
            return Some(Err(Error::Broken));
        }
        watch.events.pop_front().map(Ok)
    }

    pub(super) fn forget_events(&mut self, token: u32) {
        if let Some(watch) = self.watches.get_mut(token) {
            watch.events.clear();
        }
    }

    /// Has the next event of a watch, or the connection's failure, wake somebody.
    pub(super) fn register(&mut self, token: u32, waker: &Waker) {
        if let Some(watch) = self.watches.get_mut(token) {
            watch.waker = Some(waker.clone());
        }
    }

    /// The connection has failed.
    pub(super) fn fail(&mut self, wakers: &mut Vec<Waker>) {
        for watch in self.watches.values_mut() {
            watch.failed = true;
            wakers.extend(watch.waker.take());
        }
    }
}
