//! Calls that block.

use alloc::boxed::Box;
use core::any::Any;
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use mirust_executor::domain;
use mirust_executor::time::Instant;

use crate::{foreign, thread};

/// Why a call that would block has not done so.
pub enum CannotBlock {
    /// It came out of a task of the executor, or out of an event handler: both run in the middle of
    /// a poll, which cannot go on before they return. A task awaits; code that cannot belongs
    /// on a thread.
    InTask,
    /// The future panicked; the payload is the panic's. Only on a thread: on the main stack the panic goes
    /// through `block_on`.
    Panicked(Box<dyn Any + Send>),
}

impl fmt::Display for CannotBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CannotBlock::InTask => {
                "a task of mirust::spawn cannot block: await, or do this on a thread"
            }
            CannotBlock::Panicked(_) => "what was waited for has panicked",
        })
    }
}

impl fmt::Debug for CannotBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CannotBlock::InTask => "InTask",
            CannotBlock::Panicked(_) => "Panicked",
        })
    }
}

impl core::error::Error for CannotBlock {}

/// Blocks the caller, the main stack or a thread, until `future` is ready; everything else goes on
/// meanwhile. The future is polled and dropped on the main stack.
///
/// # Errors
///
/// [`CannotBlock`]; the future was then not polled to its end.
pub fn block_on<F: Future>(future: F) -> Result<F::Output, CannotBlock> {
    if let Some(thread) = thread::running() {
        let mut future = pin!(Some(future));
        let mut output = None;
        thread.ask(&mut |cx| {
            let Some(running) = future.as_mut().as_pin_mut() else { return true };
            let Poll::Ready(value) = running.poll(cx) else { return false };
            output = Some(value);
            future.set(None);
            true
        })?;
        // It is there, since the request was answered.
        return output.ok_or(CannotBlock::InTask);
    }
    let domain = domain::get();
    if domain.is_polling() {
        return Err(CannotBlock::InTask);
    }
    // OCaml's frames, if there are any, do not come or go during the call.
    Ok(if foreign::ready() {
        domain.block_on_with(future, foreign::turn)
    } else {
        domain.block_on(future)
    })
}

/// [`block_on`], but not longer than until `deadline`: nothing if that has come first. With a
/// deadline that has passed already, the domain has one turn, and what it makes ready counts.
///
/// # Errors
///
/// [`CannotBlock`].
pub fn block_on_until<F: Future>(
    future: F,
    deadline: Option<Instant>,
) -> Result<Option<F::Output>, CannotBlock> {
    let Some(deadline) = deadline else { return block_on(future).map(Some) };
    block_on(async move {
        let mut future = pin!(future);
        let mut limit = pin!(domain::sleep_until(deadline));
        let mut turned = false;
        poll_fn(|cx| {
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(value));
            }
            let over = limit.as_mut().poll(cx).is_ready();
            if over && turned {
                return Poll::Ready(None);
            }
            if over {
                // Whoever asks again and again with no time to wait must not keep out what he asks for.
                cx.waker().wake_by_ref();
            }
            turned = true;
            Poll::Pending
        })
        .await
    })
}

/// Calls `f` on the main stack, with the main stack's thread-local storage, and waits for that. It is
/// inside of a poll there: it cannot block. On the main stack itself this is an ordinary call.
///
/// # Errors
///
/// [`CannotBlock::Panicked`], on a thread, if `f` panics.
pub fn on_main<R>(f: impl FnOnce() -> R) -> Result<R, CannotBlock> {
    let Some(thread) = thread::running() else { return Ok(f()) };
    let (mut f, mut result) = (Some(f), None);
    thread.ask(&mut |_| {
        result = f.take().map(|f| f());
        true
    })?;
    // It is there, since the request was answered.
    result.ok_or(CannotBlock::InTask)
}

/// Lets every other thread and task that is ready go first, once; timers and events too.
///
/// # Errors
///
/// [`CannotBlock`].
pub fn yield_now() -> Result<(), CannotBlock> {
    block_on(Yield(false))
}

/// Pending once.
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if core::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
