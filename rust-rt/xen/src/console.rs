//! The paravirtual console: the ring between the domain and xenconsoled (Xen's `io/console.h`).
//!
//! Output goes into the ring, and what does not fit into a buffer of fixed size that
//! [`Console::run`] empties as the daemon makes room. A program that prints faster than the daemon
//! reads is slowed down; if the daemon has stopped reading, the oldest output is lost, with a note
//! of how much, and the newest kept: a crash message is always the newest. When the domain ends,
//! [`Console::drain`] waits until the daemon has everything.
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
use spin::Mutex;

/// Bytes of output that wait for room in the ring.
const BACKLOG: usize = 16 * 1024;
/// Bytes of input that wait for a reader; more stay in the ring.
const INPUT: usize = 4096;
/// How long a daemon may make no room before it counts as gone. A domain can be faster to print than
/// xenconsoled is to notice that there is a new domain.
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
    /// Never grows beyond `BACKLOG`, its capacity.
    backlog: VecDeque<u8>,
    /// Bytes lost since the last note about it.
    lost: usize,
    /// The daemon made no room for `PATIENCE_NS`: do not wait for it again until it does.
    stalled: bool,
    input: VecDeque<u8>,
    readers: Vec<Waker>,
}

impl Console {
    /// The console whose ring is in `page` and whose other end is reached by `channel`.
    pub fn new(
        hypervisor: &'static dyn Hypervisor,
        info: &'static SharedInfo,
        clock: &'static Clock,
        page: SharedPage,
        channel: EventChannel,
    ) -> Console {
        let inner = Mutex::new(Inner {
            producer: Producer::attach(&page, CONSOLE_OUT),
            consumer: Consumer::attach(&page, CONSOLE_IN),
            backlog: VecDeque::with_capacity(BACKLOG),
            lost: 0,
            stalled: false,
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
            // There is no later chance: wait even for a daemon that seemed to have gone.
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
                if !inner.readers.iter().any(|reader| reader.will_wake(cx.waker())) {
                    inner.readers.push(cx.waker().clone());
                }
                return Poll::Pending;
            };
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

    /// Puts bytes into the backlog, and makes room there if need be.
    fn put(&self, inner: &mut Inner, mut bytes: &[u8]) -> Result<(), Corrupt> {
        while !bytes.is_empty() {
            let room = BACKLOG - inner.backlog.len();
            let (now, later) = bytes.split_at(bytes.len().min(room));
            inner.backlog.extend(now);
            bytes = later;
            if !bytes.is_empty() {
                self.flush(inner)?;
                let full = inner.backlog.len() == BACKLOG;
                if full && (inner.stalled || !self.wait_for_room(inner)) {
                    // The oldest quarter goes, so that this is not done for every byte.
                    inner.backlog.drain(..BACKLOG / 4);
                    inner.lost += BACKLOG / 4;
                }
            }
        }
        Ok(())
    }

    /// Moves output from the backlog to the ring.
    fn flush(&self, inner: &mut Inner) -> Result<(), Corrupt> {
        let mut moved = 0;
        while !inner.backlog.is_empty() {
            let sent = inner.producer.push(&self.page, inner.backlog.as_slices().0)?;
            if sent == 0 {
                break;
            }
            inner.backlog.drain(..sent);
            moved += sent;
        }
        if moved > 0 {
            inner.stalled = false;
            self.channel.notify();
        }
        if inner.lost > 0 && inner.backlog.is_empty() {
            let mut note = Note::default();
            let lost = core::mem::take(&mut inner.lost);
            let _ = fmt::write(&mut note, format_args!("\r\n[{lost} bytes of output lost]\r\n"));
            inner.backlog.extend(&note.text[..note.len]);
        }
        Ok(())
    }

    /// Moves input from the ring, and tells whether there was any.
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
        inner.stalled = !room;
        room
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
