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

/// Both connections, which are reset unless they end in good order: so also when the task that has them is dropped.
struct Pair(Option<(TcpStream, TcpStream)>);

impl Drop for Pair {
    fn drop(&mut self) {
        if let Some((client, target)) = self.0.take() {
            client.abort();
            target.abort();
        }
    }
}

/// Bytes without an answer that count as progress: otherwise a client that sends one now and then would keep its place.
const WORTH_IT: u64 = 65536;

/// What a client's place depends on.
pub struct News {
    /// It has made progress.
    pub progress: bool,
    /// The progress is an answer of the target's.
    pub answered: bool,
    /// It waits for an answer, or does not read what there is for it.
    pub busy: bool,
}

/// What is known of a client's progress.
#[derive(Default)]
struct Progress {
    /// The client has sent something that was not answered yet.
    asked: bool,
    /// Bytes since there was progress.
    bytes: u64,
    /// As told last.
    busy: bool,
}

impl Progress {
    /// This many bytes were forwarded. `stuck`: the client does not read what there is for it.
    fn made(&mut self, up: u64, down: u64, stuck: bool) -> Option<News> {
        let answered = down > 0 && self.asked;
        self.asked = up > 0 || (self.asked && !answered);
        self.bytes += up + down;
        let progress = answered || (down > 0 && !stuck) || self.bytes >= WORTH_IT;
        if progress {
            self.bytes = 0;
        }
        let busy = stuck || self.asked;
        let changed = busy != self.busy;
        self.busy = busy;
        (progress || changed).then_some(News { progress, answered, busy })
    }
}

/// Forwards bytes until both directions have ended. If one connection fails, the other is reset, so that nobody
/// mistakes a part of the data for all of it; after `idle` without a byte both are reset. `told` is called when there
/// is news of the client.
///
/// # Errors
///
/// Those of either connection; [`Error::TimedOut`] also after `idle`.
pub async fn pass(
    client: TcpStream,
    target: TcpStream,
    idle: Duration,
    told: impl Fn(News),
) -> Result<(), Error> {
    // What arrives together is forwarded together; nothing is gained by waiting for more.
    client.set_nodelay(true)?;
    target.set_nodelay(true)?;
    let mut pair = Pair(Some((client, target)));
    let (mut up, mut down) = (Direction::default(), Direction::default());
    let mut progress = Progress::default();
    let mut silence = sleep(idle);
    let mut last = now();
    poll_fn(|cx| {
        let Some((client, target)) = &mut pair.0 else { return Poll::Ready(Ok(())) };
        let before = (up.passed, down.passed);
        let up_ended = up.poll(cx, client, target)?.is_ready();
        let down_ended = down.poll(cx, target, client)?.is_ready();
        if up_ended && down_ended {
            return Poll::Ready(Ok(()));
        }
        let moved = (up.passed - before.0, down.passed - before.1);
        let stuck = !down.chunk.is_empty();
        if let Some(news) = progress.made(moved.0, moved.1, stuck) {
            told(news);
        }
        if moved != (0, 0) {
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
    .await?;
    // Closed, and not reset.
    pair.0 = None;
    Ok(())
}
