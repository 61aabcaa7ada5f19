//! What hyper asks of a runtime: [`TcpStream`] reads and writes, [`Executor`] runs its tasks, and
//! [`Timer`] keeps its time limits.

use std::future::Future;
use std::io;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use hyper::rt::{Read, ReadBufCursor, Sleep, Write};

use super::TcpStream;
use super::sides::write_side;

impl Read for TcpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let copied = self.poll_copy(cx, |bytes| {
            let n = bytes.len().min(buf.remaining());
            buf.put_slice(&bytes[..n]);
            n
        });
        copied.map_ok(|_| ()).map_err(io::Error::from)
    }
}

impl Write for TcpStream {
    // Head and body leave in one write, and hyper need not copy them together before.
    fn is_write_vectored(&self) -> bool {
        true
    }

    write_side!(TcpStream, poll_shutdown);
}

/// Runs hyper's futures as tasks.
#[derive(Clone, Copy, Default, Debug)]
pub struct Executor;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for Executor {
    fn execute(&self, future: F) {
        crate::spawn(future);
    }
}

/// Sleeps on the domain's poll.
#[derive(Clone, Copy, Default, Debug)]
pub struct Timer;

impl hyper::rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Here::new(crate::time::sleep(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Here::new(crate::time::sleep_until(in_the_domain(deadline))))
    }

    /// A server does so with each request: nothing is allocated for it.
    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, new_deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Here>() {
            Some(here) => here.get_mut().sleep().reset(in_the_domain(new_deadline)),
            None => *sleep = self.sleep_until(new_deadline),
        }
    }
}

/// The same moment on the domain's clock. Both count on alike from when they were first compared.
fn in_the_domain(moment: Instant) -> crate::time::Instant {
    static COMPARED: OnceLock<(Instant, crate::time::Instant)> = OnceLock::new();
    let (of_std, of_domain) = COMPARED.get_or_init(|| (Instant::now(), crate::time::now()));
    of_domain.saturating_add(moment.saturating_duration_since(*of_std))
}

/// hyper wants sleeps that may go to other threads; ours belong to one. This one panics elsewhere.
struct Here {
    thread: ThreadId,
    sleep: ManuallyDrop<crate::time::Sleep>,
}

impl Here {
    fn new(sleep: crate::time::Sleep) -> Self {
        Here { thread: thread::current().id(), sleep: ManuallyDrop::new(sleep) }
    }

    /// # Panics
    ///
    /// In another thread.
    fn sleep(&mut self) -> &mut crate::time::Sleep {
        assert!(self.thread == thread::current().id(), "a sleep belongs to the domain's thread");
        &mut self.sleep
    }
}

// SAFETY: the sleep is touched in the thread that made it only, which `sleep` and `drop` check.
unsafe impl Send for Here {}
// SAFETY: as above; there is no method by shared reference.
unsafe impl Sync for Here {}

impl Future for Here {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(self.sleep()).poll(cx)
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        // In another thread it is leaked.
        if self.thread == thread::current().id() {
            // SAFETY: dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.sleep) }
        }
    }
}

impl Sleep for Here {}
