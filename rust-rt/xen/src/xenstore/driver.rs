//! The driver of a connection: serves the ring, and sets it up again when it is broken or the domain is another one.

use super::{connection::Connection, error::Error};
use crate::wire::bytering::{
    CONNECTED, FEATURE_RECONNECTION, RECONNECT, XENSTORE_CONNECTION, XENSTORE_FEATURES,
};
use alloc::vec::Vec;
use core::{
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    task::{Poll, Waker},
};
use mirust_executor::yield_now;

impl Connection {
    /// Serves the ring for ever.
    pub(super) async fn run(&self) -> Infallible {
        loop {
            // The order of `events`' first lines: count, then look, then wait.
            let seen = self.channel.count();
            let ((), more) = self.change(|_| ());
            if self.state.lock().broken {
                self.reconnect().await;
            } else if more {
                yield_now().await;
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

    /// Starts over with a daemon that knows nothing of this domain yet and an empty ring. Calls that wait for an answer
    /// fail with [`Error::Broken`]; watches are registered again, and each gets an event.
    pub(super) fn renew(&self) {
        let mut wakers = Vec::new();
        self.change(|state| {
            state.era += 1;
            state.forget(&mut wakers);
            state.attach_again(&self.page);
        });
        wakers.into_iter().for_each(Waker::wake);
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

    fn can_reset(&self) -> bool {
        self.page.load_u32(XENSTORE_FEATURES) & FEATURE_RECONNECTION != 0
    }
}
