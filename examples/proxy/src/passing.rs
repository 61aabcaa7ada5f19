//! Two connections, each of which is sent what the other one receives.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use mirust::net::{Error, Shutdown, TcpStream};
use mirust::ocaml::Buffer;
use mirust::time::{Duration, now, sleep};

/// One direction. It holds one buffer of the stack's at most, and takes the next when that is written:
/// a slow reader makes the other side's sender slow, and nothing grow.
#[derive(Default)]
struct Direction {
    chunk: Buffer,
    passed: u64,
    ended: bool,
}

impl Direction {
    /// Passes on what there is; ready when `from` has ended its direction, and that of `to` was ended
    /// like it.
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

/// Passes bytes on until both directions have ended. What ends one connection in the middle resets the
/// other, so that nobody takes what has arrived for all of it; `idle` without a byte resets both.
///
/// # Errors
///
/// That of either connection; [`Error::TimedOut`] also for the silence.
pub async fn pass(
    mut client: TcpStream,
    mut target: TcpStream,
    idle: Duration,
) -> Result<(), Error> {
    // What arrives together is passed on together; nothing is gained by waiting for more.
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
        // The timer is left alone while bytes come, and looks when it is due how long ago that was.
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
