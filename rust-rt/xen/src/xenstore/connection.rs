//! A connection to the daemon, as its users see it: what they do changes its state, moves bytes, notifies and wakes.
//! The [driver](super::driver) serves the ring.

use super::{
    error::Error,
    relay::{Bell, Relay},
    state::{Request, State},
};
use crate::{events::EventChannel, page::Page, shared::SharedPage, wire::xenstore::Kind};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::{fmt, ptr::NonNull, task::Waker};
use mirust_mem::OutOfMemory;
use spin::Mutex;

pub(super) struct Connection {
    pub(super) page: SharedPage,
    pub(super) channel: EventChannel,
    pub(super) state: Mutex<State>,
}

impl Connection {
    pub(super) fn new(page: SharedPage, channel: EventChannel) -> Connection {
        let state = State::new(&page);
        Connection { page, channel, state: Mutex::new(state) }
    }

    /// Aborts a transaction.
    pub(super) fn send_abort(&self, tx_id: u32) {
        self.send_and_forget(Kind::TransactionEnd, tx_id, &[b"F\0"]);
    }

    pub(super) fn send_unwatch(&self, path: &str, token: u32) {
        let token = format!("{token}\0");
        self.send_and_forget(Kind::Unwatch, 0, &[path.as_bytes(), b"\0", token.as_bytes()]);
    }

    fn send_and_forget(&self, kind: Kind, tx_id: u32, payload: &[&[u8]]) {
        // A broken connection has forgotten transactions and watches anyway.
        let _ = self.queue(|state| state.send(Request::Abandoned(kind), tx_id, payload));
    }

    /// Has `f` queue something, and [`run`](Self::run) send it, together with all else that is queued before it has its
    /// turn: each notification makes Xen run another domain, on a busy host instead of this one.
    pub(super) fn queue<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        let result = f(&mut state);
        state.unsent = true;
        let driver = state.driver.take();
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        result
    }

    /// Adds a watch here, not with the daemon; its token.
    pub(super) fn add_watch(&self, path: &str) -> u32 {
        self.state.lock().watches.add(path)
    }

    /// Forgets a watch; the path if there was one.
    pub(super) fn remove_watch(&self, token: u32) -> Option<String> {
        self.state.lock().watches.remove(token)
    }

    pub(super) fn take_event(&self, token: u32) -> Option<Result<String, Error>> {
        self.state.lock().watches.take_event(token)
    }

    pub(super) fn forget_events(&self, token: u32) {
        self.state.lock().watches.forget_events(token);
    }

    pub(super) fn register_watcher(&self, token: u32, waker: &Waker) {
        self.state.lock().watches.register(token, waker);
    }

    pub(super) fn oddities(&self) -> u64 {
        self.state.lock().oddities
    }

    /// Whether nobody waits for the daemon, and no transaction is open.
    pub(super) fn is_quiet(&self) -> bool {
        self.state.lock().is_quiet()
    }

    pub(super) fn era(&self) -> u32 {
        self.state.lock().era
    }

    /// The channel, which has another port in another domain.
    pub(super) fn channel(&self) -> &EventChannel {
        &self.channel
    }

    /// Applies `f` to the state, then moves bytes; notifies and wakes without holding the lock.
    /// Returns what `f` returned, and whether there is more to move.
    pub(super) fn change<R>(&self, f: impl FnOnce(&mut State) -> R) -> (R, bool) {
        let mut wakers = Vec::new();
        let mut state = self.state.lock();
        let result = f(&mut state);
        let mut turn = state.turn(&self.page, &mut wakers);
        let hooks = state.hooks;
        let bell =
            hooks.and_then(|hooks| (hooks.serve)(&mut state, &self.page, &mut turn, &mut wakers));
        drop(state);
        if turn.moved {
            self.channel.notify();
        }
        wakers.into_iter().for_each(Waker::wake);
        if let Some(bell) = bell {
            bell();
        }
        (result, turn.more)
    }

    /// Begins to serve a second client, or starts over with it. Returns the address of its page, which
    /// stays valid for ever.
    pub(super) fn relay(&self, bell: Bell) -> Result<NonNull<u8>, OutOfMemory> {
        let attach = |state: &mut State| {
            state.relay_leave();
            let page = match state.relay.take() {
                Some(relay) => relay.into_page(),
                None => Page::new()?.into_shared(),
            };
            page.clear();
            let addr = NonNull::new(core::ptr::with_exposed_provenance_mut(page.addr()));
            *state.relay = Some(Box::new(Relay::new(page, bell)));
            state.hooks = Some(&State::RELAY_HOOKS);
            Ok(addr.expect("a mapped page is not at address zero"))
        };
        self.change(attach).0
    }

    /// The second client has notified.
    pub(super) fn relay_notified(&self) {
        self.change(|_| ());
    }

    pub(super) fn relay_watches(&self, path: &str) -> bool {
        self.state.lock().relay.as_ref().is_some_and(|relay| relay.watches(path))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("port", &self.channel.port()).finish_non_exhaustive()
    }
}
