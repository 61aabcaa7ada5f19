//! Watches: notifications of changes.

use super::{connection::Connection, error::Error, reply::Reply};
use crate::wire::xenstore::{self as wire, Kind};
use alloc::{format, string::String, sync::Arc};
use core::{future::poll_fn, task::Poll};

/// A watch on a node and everything below it. Dropping it ends the watch.
///
/// Events say that something may have changed, not what: equal paths that have not been read yet are reported once,
/// and more than 64 different ones are merged into one event for the watched path.
#[must_use = "dropping it ends the watch"]
#[derive(Debug)]
pub struct Watch {
    connection: Arc<Connection>,
    token: u32,
}

impl Watch {
    pub(super) async fn new(connection: Arc<Connection>, path: &str) -> Result<Watch, Error> {
        // Known before the daemon is: an event may come ahead of the reply.
        let token = connection.add_watch(path);
        let watch = Watch { connection, token };
        let token = format!("{token}\0");
        let payload = [path.as_bytes(), b"\0", token.as_bytes()];
        let reply = match Reply::to(&watch.connection, Kind::Watch, 0, &payload) {
            Ok(request) => request.await,
            Err(error) => Err(error),
        };
        match reply {
            Ok(reply) => wire::parse_ok(&reply)?,
            Err(error) => {
                // The daemon has no such watch, so there is nothing to end.
                watch.connection.remove_watch(watch.token);
                return Err(error);
            }
        }
        Ok(watch)
    }

    /// Waits for the next event and returns the path that has changed: the watched one or one below
    /// it, absolute or relative as the watched one is.
    ///
    /// # Errors
    ///
    /// [`Error::Broken`], once, when the connection has failed; if it recovers, events continue.
    pub async fn next(&mut self) -> Result<String, Error> {
        poll_fn(|cx| match self.connection.take_event(self.token) {
            Some(event) => Poll::Ready(event),
            None => {
                self.connection.register_watcher(self.token, cx.waker());
                Poll::Pending
            }
        })
        .await
    }

    /// Forgets the events so far: for a caller that is about to read everything they could be about.
    pub fn forget(&mut self) {
        self.connection.forget_events(self.token);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(path) = self.connection.remove_watch(self.token) {
            self.connection.send_unwatch(&path, self.token);
        }
    }
}
