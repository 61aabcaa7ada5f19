//! A connection to the daemon: locks the state, moves bytes, notifies and wakes.

use super::{
    error::Error,
    relay::{Bell, Relay},
    state::{Request, State},
};
use crate::{
    events::EventChannel,
    page::Page,
    shared::SharedPage,
    wire::{
        bytering::{
            CONNECTED, FEATURE_RECONNECTION, RECONNECT, XENSTORE_CONNECTION, XENSTORE_FEATURES,
        },
        xenstore::Kind,
    },
};
use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};
use core::{
    convert::Infallible,
    fmt,
    future::poll_fn,
    pin::Pin,
    ptr::NonNull,
    task::{Context, Poll, Waker},
};
use mirust_mem::OutOfMemory;
use spin::Mutex;

pub(super) struct Connection {
    page: SharedPage,
    channel: EventChannel,
    state: Mutex<State>,
}

/// The reply to a request.
#[derive(Debug)]
pub(super) struct Reply {
    connection: Arc<Connection>,
    id: u32,
    taken: bool,
}

impl Connection {
    pub(super) fn new(page: SharedPage, channel: EventChannel) -> Connection {
        let state = State::new(&page);
        Connection { page, channel, state: Mutex::new(state) }
    }

    /// Queues a request of which `payload` has the pieces. [`run`](Self::run) sends it, together with all others that are
    /// made before it has its turn: each notification makes Xen run another domain, on a busy host instead of this one.
    pub(super) fn request(
        this: &Arc<Self>,
        kind: Kind,
        tx_id: u32,
        payload: &[&[u8]],
    ) -> Result<Reply, Error> {
        let id = this.queue(|state| state.send(Request::Waiting(kind, None), tx_id, payload))?;
        Ok(Reply { connection: this.clone(), id, taken: false })
    }

    /// Ends a transaction of which nothing shall remain.
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

    /// Has `f` queue something, and [`run`](Self::run) send it.
    fn queue<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
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

    /// Treats the ring as broken; [`run`](Self::run) resets it.
    pub(super) fn reset(&self) -> Result<(), Error> {
        if !self.can_reset() {
            return Err(Error::Unavailable);
        }
        let mut wakers = Vec::new();
        self.state.lock().fail(&mut wakers);
        // The driver looks at its state when there is an event.
        self.channel.raise();
        wakers.into_iter().for_each(Waker::wake);
        Ok(())
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

    /// Begins anew, with a daemon that knows nothing of this domain yet and a ring that is empty. Whoever waits for
    /// an answer gets [`Error::Broken`]; watches are registered again, and have an event.
    pub(super) fn renew(&self) {
        let mut wakers = Vec::new();
        self.change(|state| {
            state.era += 1;
            state.forget(&mut wakers);
            state.attach_again(&self.page);
        });
        wakers.into_iter().for_each(Waker::wake);
    }

    fn can_reset(&self) -> bool {
        self.page.load_u32(XENSTORE_FEATURES) & FEATURE_RECONNECTION != 0
    }

    /// Serves the ring for ever.
    pub(super) async fn run(&self) -> Infallible {
        loop {
            // The order of `events`' first lines: count, then look, then wait.
            let seen = self.channel.count();
            let ((), more) = self.change(|_| ());
            if self.state.lock().broken {
                self.reconnect().await;
            } else if more {
                yield_once().await;
            } else {
                self.idle(seen).await;
            }
        }
    }

    /// Waits until there have been other than `seen` events, or there is something to send.
    async fn idle(&self, seen: u64) {
        let mut event = self.channel.wait(seen);
        poll_fn(|cx| {
            {
                let mut state = self.state.lock();
                if core::mem::take(&mut state.unsent) {
                    return Poll::Ready(());
                }
                state.driver = Some(cx.waker().clone());
            }
            Pin::new(&mut event).poll(cx).map(|_| ())
        })
        .await;
    }

    /// Applies `f` to the state, then moves bytes; notifies and wakes without holding the lock.
    /// Returns what `f` returned, and whether there is more to move.
    fn change<R>(&self, f: impl FnOnce(&mut State) -> R) -> (R, bool) {
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

    /// Begins to serve a second client, or begins anew; the address of its page, which is valid for
    /// ever.
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

    /// Resets a broken ring, if the daemon knows how to, and registers the watches again. Otherwise every call
    /// fails with [`Error::Broken`], until there is another daemon.
    async fn reconnect(&self) {
        let mut seen = self.channel.count();
        if !self.can_reset() {
            log::error!("xenstore: the connection is broken and cannot be reset");
            while self.state.lock().broken {
                seen = self.channel.wait(seen).await;
            }
            return;
        }
        log::warn!("xenstore: the connection is broken; resetting it");
        self.page.store_u32(XENSTORE_CONNECTION, RECONNECT);
        self.channel.notify();
        while self.page.load_u32(XENSTORE_CONNECTION) != CONNECTED {
            seen = self.channel.wait(seen).await;
        }
        self.change(|state| state.attach_again(&self.page));
    }
}

impl Future for Reply {
    type Output = Result<Vec<u8>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let connection = self.connection.clone();
        let mut state = connection.state.lock();
        assert!(!self.taken, "a reply was polled after it was taken");
        if let Some(Request::Waiting(_, waker)) = state.requests.get_mut(self.id) {
            *waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.taken = true;
        match state.requests.remove(self.id) {
            Some(Request::Done(_, result)) => Poll::Ready(result),
            Some(Request::Waiting(..) | Request::Abandoned(_) | Request::Relayed(_)) | None => {
                unreachable!("the request belongs to its reply")
            }
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        self.connection.change(|state| match state.requests.remove(self.id) {
            Some(Request::Waiting(kind, _)) => {
                state.requests.add(self.id, Request::Abandoned(kind));
            }
            Some(Request::Done(kind, result)) => state.discard(kind, result),
            Some(Request::Abandoned(_) | Request::Relayed(_)) | None => {}
        });
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("port", &self.channel.port()).finish_non_exhaustive()
    }
}

/// Lets the other tasks run.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}
