//! Forwarding between two connections.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use mirust::net::{Error, Shutdown, TcpStream};
use mirust::ocaml::Buffer;
use mirust::time::{Duration, now, sleep};

/// One direction. It holds at most one of the stack's buffers, and takes the next when that has been written, so
/// that a slow reader slows down the other side's sender and nothing grows.
#[derive(Default)]
struct Direction {
    chunk: Buffer,
    passed: u64,
    ended: bool,
}

impl Direction {
    /// Forwards what there is; ready when `from` has ended its direction, and that of `to` has been ended too.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
    ) -> Poll<Result<(), Error>> {
        while !self.ended {
            let waiting = self.chunk.len();
            let written = to.poll_write_chunk(cx, &mut self.chunk)?;
            self.passed += (waiting - self.chunk.len()) as u64;
            ready!(written);
            self.chunk = ready!(from.poll_chunk(cx))?;
            if self.chunk.is_empty() {
                to.shutdown(Shutdown::Write)?;
                self.ended = true;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Forwards bytes until both directions have ended. If one connection fails, the other is reset, so that nobody
/// mistakes a part of the data for all of it; after `idle` without a byte both are reset.
///
/// # Errors
///
/// Those of either connection; [`Error::TimedOut`] also after `idle`.
pub async fn pass(
    mut client: TcpStream,
    mut target: TcpStream,
    idle: Duration,
) -> Result<(), Error> {
    // What arrives together is forwarded together; nothing is gained by waiting for more.
    client.set_nodelay(true)?;
    target.set_nodelay(true)?;
    let (mut up, mut down) = (Direction::default(), Direction::default());
    let mut silence = sleep(idle);
    let mut last = now();
    let result = poll_fn(|cx| {
        let before = up.passed + down.passed;
        let up_ended = up.poll(cx, &mut client, &mut target)?.is_ready();
        let down_ended = down.poll(cx, &mut target, &mut client)?.is_ready();
        if up_ended && down_ended {
            return Poll::Ready(Ok(()));
        }
        if up.passed + down.passed > before {
            last = now();
        }
        // The timer is not reset by each byte; when it is due, it checks how long ago the last one came.
        while Pin::new(&mut silence).poll(cx).is_ready() {
            if last.saturating_add(idle) <= silence.deadline() {
                return Poll::Ready(Err(Error::TimedOut));
            }
            silence.reset(last.saturating_add(idle));
        }
        Poll::Pending
    })
    .await;
    if result.is_err() {
        client.abort();
        target.abort();
    }
    result
}
