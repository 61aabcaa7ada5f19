//! A request to the daemon, and its reply as a future.

use super::{connection::Connection, error::Error, state::Request};
use crate::wire::xenstore::Kind;
use alloc::{sync::Arc, vec::Vec};
use core::{
    pin::Pin,
    task::{Context, Poll},
};

/// The reply to a request.
#[derive(Debug)]
pub(super) struct Reply {
    connection: Arc<Connection>,
    id: u32,
    taken: bool,
}

impl Reply {
    /// Queues a request of which `payload` has the pieces.
    pub(super) fn to(
        connection: &Arc<Connection>,
        kind: Kind,
        tx_id: u32,
        payload: &[&[u8]],
    ) -> Result<Reply, Error> {
        let request = Request::Waiting(kind, None);
        let id = connection.queue(|state| state.send(request, tx_id, payload))?;
        Ok(Reply { connection: connection.clone(), id, taken: false })
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
