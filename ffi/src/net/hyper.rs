//! What hyper asks of a runtime: [`TcpStream`] reads and writes, [`Executor`] runs its tasks, and
//! [`Timer`] keeps its time limits.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};
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
        Box::pin(Here::new(crate::time::now().saturating_add(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Here::new(in_the_domain(deadline)))
    }

    /// A server looks at the clock with each request, for a time limit of seconds.
    fn now(&self) -> Instant {
        let (of_std, of_domain) = compared();
        of_std + crate::time::coarse_now().duration_since(of_domain)
    }

    /// A server does so with each request: nothing is allocated for it.
    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, new_deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Here>() {
            Some(here) => here.get_mut().reset(in_the_domain(new_deadline)),
            None => *sleep = self.sleep_until(new_deadline),
        }
    }
}

/// The same moment on std's clock and on the domain's: both count on alike from when they were first compared.
fn compared() -> (Instant, crate::time::Instant) {
    static COMPARED: OnceLock<(Instant, crate::time::Instant)> = OnceLock::new();
    *COMPARED.get_or_init(|| (Instant::now(), crate::time::now()))
}

/// A moment of std's clock on the domain's.
fn in_the_domain(moment: Instant) -> crate::time::Instant {
    let (of_std, of_domain) = compared();
    of_domain.saturating_add(moment.saturating_duration_since(of_std))
}

crate::local::domain_local! {
    /// The alarm of a sleep that was dropped, still set. A server with a time limit for heads of requests makes a sleep
    /// for each, drops it when the head is there, which is long before the limit, and makes the next. Setting and
    /// cancelling an alarm each time would be half of what the timer costs. It keeps the waker of a task that has ended
    /// until it goes off. Never dropped, as nothing needs the memory at the end.
    static SPARE: RefCell<ManuallyDrop<Option<Alarm>>> = const { RefCell::new(ManuallyDrop::new(None)) };
}

type Alarm = crate::time::Sleep;

/// hyper wants sleeps that may go to other threads; ours belong to one. This one panics elsewhere.
struct Here {
    thread: ThreadId,
    deadline: crate::time::Instant,
    /// Set from the first poll on. It may go off earlier, and is set anew then.
    alarm: ManuallyDrop<Option<Alarm>>,
}

impl Here {
    fn new(deadline: crate::time::Instant) -> Self {
        Here { thread: thread::current().id(), deadline, alarm: ManuallyDrop::new(None) }
    }

    fn is_here(&self) -> bool {
        self.thread == thread::current().id()
    }

    /// # Panics
    ///
    /// In another thread.
    fn check(&self) {
        assert!(self.is_here(), "a sleep belongs to the domain's thread");
    }

    fn reset(&mut self, deadline: crate::time::Instant) {
        self.check();
        self.deadline = deadline;
    }

    /// What wakes us at the deadline at the latest.
    fn alarm(&mut self) -> &mut Alarm {
        let deadline = self.deadline;
        let alarm = self.alarm.get_or_insert_with(|| {
            let spare = SPARE.with_borrow_mut(|spare| spare.take_if(|s| s.deadline() <= deadline));
            spare.unwrap_or_else(|| crate::time::sleep_until(deadline))
        });
        if alarm.deadline() > deadline {
            alarm.reset(deadline);
        }
        alarm
    }
}

// SAFETY: the sleep is touched in the thread that made it only, which `poll`, `reset` and `drop` check.
unsafe impl Send for Here {}
// SAFETY: as above; there is no method by shared reference.
unsafe impl Sync for Here {}

impl Future for Here {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.check();
        let deadline = self.deadline;
        loop {
            let alarm = self.alarm();
            ready!(Pin::new(&mut *alarm).poll(cx));
            if alarm.deadline() == deadline {
                return Poll::Ready(());
            }
            alarm.reset(deadline);
        }
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        // In another thread it is leaked.
        if self.is_here() {
            let alarm = self.alarm.take();
            // Bound to a name so that one that is not needed is dropped outside of the borrow.
            let _other = SPARE.with_borrow_mut(|spare| match **spare {
                None => std::mem::replace(&mut **spare, alarm),
                Some(_) => alarm,
            });
        }
    }
}

impl Sleep for Here {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::now;
    use std::future::poll_fn;

    /// A sleep that has been waited for, and ends this many milliseconds from now.
    async fn begun(ms: u64) -> Here {
        let mut here = Here::new(now().saturating_add(Duration::from_millis(ms)));
        poll_fn(|cx| Poll::Ready(Pin::new(&mut here).poll(cx).is_ready())).await;
        here
    }

    fn spare() -> Option<crate::time::Instant> {
        SPARE.with_borrow_mut(|spare| (**spare).as_ref().map(|alarm| alarm.deadline()))
    }

    #[test]
    fn alarms_that_serve_again_change_no_deadline() {
        crate::domain::block_on(async {
            let hours = 36_000_000;
            // One of long ago goes off before the sleep is over.
            let first = begun(10).await;
            let early = first.deadline;
            drop(first);
            assert_eq!(spare(), Some(early));
            let second = begun(40).await;
            assert_eq!((spare(), second.alarm.as_ref().map(|a| a.deadline())), (None, Some(early)));
            let deadline = second.deadline;
            second.await;
            assert!(now() >= deadline);
            // One that is too late for it stays where it is.
            let far = begun(hours).await;
            let late = far.deadline;
            drop(far);
            begun(10).await.await;
            assert_eq!(spare(), Some(late));
            // Deadlines are moved, both ways.
            let mut moved = begun(hours).await;
            moved.reset(now().saturating_add(Duration::from_millis(10)));
            moved.await;
            let mut moved = begun(10).await;
            let deadline = now().saturating_add(Duration::from_millis(40));
            moved.reset(deadline);
            moved.await;
            assert!(now() >= deadline);
        });
    }
}
