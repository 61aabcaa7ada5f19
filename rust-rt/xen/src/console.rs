//! The paravirtual console: the ring between the domain and xenconsoled (Xen's `io/console.h`).
//!
//! Output goes into the ring; what does not fit goes into a buffer of fixed size, which [`Console::run`] empties as the
//! daemon makes room. Writing never waits for the daemon, because that belongs to another domain, and strangers can
//! cause output. When the buffer is full, its oldest lines are replaced by a note of how much was lost; the newest are
//! kept, so that a crash message is never lost. Only when the domain ends, [`Console::drain`] waits until the daemon
//! has read everything.
//!
//! Writing allocates nothing and never waits for a lock, because exceptions and panics write too.

use super::{
    clock::Clock, events::EventChannel, hypervisor::Hypervisor, sched, shared_info::SharedInfo,
};
use crate::{
    ring::{
        Corrupt,
        bytes::{Consumer, Producer},
    },
    shared::SharedPage,
    wire::bytering::{CONSOLE_IN, CONSOLE_OUT},
};
use alloc::{collections::VecDeque, vec::Vec};
use core::{
    convert::Infallible,
    fmt,
    future::poll_fn,
    task::{Poll, Waker},
};
use mirust_executor::add_waker;
use spin::Mutex;

/// Bytes of input that wait for a reader; more stay in the ring.
const INPUT: usize = 4096;
/// How long the daemon may make no progress, when the domain ends, before it counts as gone. A domain can print before
/// xenconsoled has noticed that there is a new domain.
const PATIENCE_NS: u64 = 3_000_000_000;

/// The domain's console.
pub struct Console {
    hypervisor: &'static dyn Hypervisor,
    info: &'static SharedInfo,
    clock: &'static Clock,
    page: SharedPage,
    channel: EventChannel,
    inner: Mutex<Inner>,
}

struct Inner {
    producer: Producer,
    consumer: Consumer,
    /// Bytes of output that wait for room in the ring. Never grows beyond `limit`, its capacity.
    backlog: VecDeque<u8>,
    limit: usize,
    /// Bytes lost before the backlog that have not been reported yet.
    lost: usize,
    input: VecDeque<u8>,
    readers: Vec<Waker>,
}

impl Console {
    /// The console whose ring is in `page` and whose other end is reached by `channel`. Up to `limit` bytes of
    /// output wait for the daemon, 1 KiB at least.
    pub fn new(
        hypervisor: &'static dyn Hypervisor,
        info: &'static SharedInfo,
        clock: &'static Clock,
        page: SharedPage,
        channel: EventChannel,
        limit: usize,
    ) -> Console {
        let limit = limit.max(1024);
        let inner = Mutex::new(Inner {
            producer: Producer::attach(&page, CONSOLE_OUT),
            consumer: Consumer::attach(&page, CONSOLE_IN),
            backlog: VecDeque::with_capacity(limit),
            limit,
            lost: 0,
            input: VecDeque::with_capacity(INPUT),
            readers: Vec::new(),
        });
        Console { hypervisor, info, clock, page, channel, inner }
    }

    /// Writes text; a line feed becomes a carriage return and a line feed, which the raw terminal
    /// of `xl console` wants.
    pub fn write(&self, text: &[u8]) {
        // Taken only if an exception interrupted this very module, whose state is then unknown.
        let Some(mut inner) = self.inner.try_lock() else { return self.hypervisor.log(text) };
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let result = match line.strip_suffix(b"\n") {
                Some(line) => {
                    self.put(&mut inner, line).and_then(|()| self.put(&mut inner, b"\r\n"))
                }
                None => self.put(&mut inner, line),
            };
            if let Err(Corrupt) = result {
                self.hypervisor.log(line);
            }
        }
        let _ = self.flush(&mut inner);
    }

    /// Waits until the daemon has read everything, or seems to have gone. For the end of the domain.
    pub fn drain(&self) {
        let Some(mut inner) = self.inner.try_lock() else { return };
        loop {
            let Ok(()) = self.flush(&mut inner) else { return };
            let Ok(unread) = inner.producer.unread(&self.page) else { return };
            let left = inner.backlog.len() + unread;
            // There is no later chance to be read.
            if left == 0 || !self.wait_for_room(&mut inner) {
                return;
            }
        }
    }

    /// Waits for a line of input, and returns it without its end. Any number of tasks may wait; each
    /// line goes to one of them.
    pub async fn read_line(&self) -> Vec<u8> {
        poll_fn(|cx| {
            let mut inner = self.inner.lock();
            // The Enter key is a carriage return on a raw terminal.
            let end = inner.input.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let Some(end) = end.or((inner.input.len() >= INPUT).then_some(INPUT - 1)) else {
                add_waker(&mut inner.readers, cx.waker());
                return Poll::Pending;
            };
            if inner.input.len() >= INPUT {
                // The rest is still in the ring, and no event will say so again: `run` has to look.
                self.channel.raise();
            }
            let mut line: Vec<u8> = inner.input.drain(..=end).collect();
            if matches!(line.last(), Some(b'\r' | b'\n')) {
                line.pop();
            }
            Poll::Ready(line)
        })
        .await
    }

    /// Moves bytes as the daemon makes room or sends input. Runs until it is dropped.
    pub async fn run(&self) -> Infallible {
        loop {
            let seen = self.channel.count();
            let readers = {
                let mut inner = self.inner.lock();
                let moved = self.flush(&mut inner).is_ok() && self.fill(&mut inner);
                if moved { core::mem::take(&mut inner.readers) } else { Vec::new() }
            };
            readers.into_iter().for_each(Waker::wake);
            self.channel.wait(seen).await;
        }
    }

    /// The channel, which has another port in another domain.
    pub fn channel(&self) -> &EventChannel {
        &self.channel
    }

    /// Starts again in a new domain: the ring is empty.
    pub fn renew(&self) {
        let Some(mut inner) = self.inner.try_lock() else { return };
        inner.producer = Producer::attach(&self.page, CONSOLE_OUT);
        inner.consumer = Consumer::attach(&self.page, CONSOLE_IN);
        let _ = self.flush(&mut inner);
    }

    /// Puts bytes into the backlog, and makes room there if need be.
    fn put(&self, inner: &mut Inner, mut bytes: &[u8]) -> Result<(), Corrupt> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(inner.room()));
            inner.backlog.extend(now);
            bytes = later;
            if !bytes.is_empty() {
                self.flush(inner)?;
                if inner.room() == 0 {
                    inner.forget();
                }
            }
        }
        Ok(())
    }

    /// Moves output from the backlog to the ring.
    fn flush(&self, inner: &mut Inner) -> Result<(), Corrupt> {
        let mut moved = self.note(inner)?;
        while inner.lost == 0 && !inner.backlog.is_empty() {
            let sent = inner.producer.push(&self.page, inner.backlog.as_slices().0)?;
            if sent == 0 {
                break;
            }
            inner.backlog.drain(..sent);
            moved = true;
        }
        if moved {
            self.channel.notify();
        }
        Ok(())
    }

    /// If output was lost, writes a note of how much as soon as the ring has room for all of it. Returns whether it
    /// did.
    fn note(&self, inner: &mut Inner) -> Result<bool, Corrupt> {
        if inner.lost == 0 {
            return Ok(false);
        }
        let mut note = Note::default();
        let lost = inner.lost;
        let _ = fmt::write(&mut note, format_args!("\r\n[{lost} bytes of output lost]\r\n"));
        let room = CONSOLE_OUT.capacity as usize - inner.producer.unread(&self.page)?;
        if room < note.len {
            return Ok(false);
        }
        inner.producer.push(&self.page, &note.text[..note.len])?;
        inner.lost = 0;
        Ok(true)
    }

    /// Moves input from the ring. Returns whether there was any.
    fn fill(&self, inner: &mut Inner) -> bool {
        let mut bytes = [0; 256];
        let mut moved = false;
        while inner.input.len() < INPUT {
            let room = (INPUT - inner.input.len()).min(bytes.len());
            match inner.consumer.pull(&self.page, &mut bytes[..room]) {
                Ok(0) | Err(Corrupt) => break,
                Ok(n) => inner.input.extend(&bytes[..n]),
            }
            moved = true;
        }
        if moved {
            self.channel.notify();
        }
        moved
    }

    /// Waits until the daemon has read something. False when it does not.
    fn wait_for_room(&self, inner: &mut Inner) -> bool {
        let Ok(before) = inner.producer.unread(&self.page) else { return false };
        let deadline = self.clock.system_time().saturating_add(PATIENCE_NS);
        let port = self.channel.port();
        let room = loop {
            // The pending bit goes first: an event after this line ends the poll below.
            self.info.take_port(port);
            match inner.producer.unread(&self.page) {
                Ok(now) if now < before => break true,
                Ok(_) if self.clock.system_time() < deadline => {}
                Ok(_) | Err(Corrupt) => break false,
            }
            sched::block(self.hypervisor, &[port], deadline);
        };
        // The events that were taken here may have been about input: `run` has to look.
        self.channel.raise();
        room
    }
}

impl Inner {
    fn room(&self) -> usize {
        self.limit - self.backlog.len()
    }

    /// Drops the oldest quarter of the backlog, so that this is not done for every byte, and the rest of the
    /// line that this ends in.
    fn forget(&mut self) {
        let quarter = self.backlog.len() / 4;
        let rest = self.backlog.iter().skip(quarter).take(256).position(|byte| *byte == b'\n');
        let gone = quarter + rest.map_or(0, |at| at + 1);
        self.backlog.drain(..gone);
        self.lost += gone;
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("port", &self.channel.port()).finish_non_exhaustive()
    }
}

/// A short text that needs no allocation.
struct Note {
    text: [u8; 64],
    len: usize,
}

impl Default for Note {
    fn default() -> Self {
        Note { text: [0; 64], len: 0 }
    }
}

impl fmt::Write for Note {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.text.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
#[path = "console_tests.rs"]
mod tests;
