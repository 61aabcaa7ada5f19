//! Blocking calls.

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use mirust_executor::domain;
use mirust_executor::time::Instant;

use crate::{cannot::CannotBlock, foreign, order, thread};

/// Blocks the caller, the main stack or a thread, until `future` is ready; everything else goes on in the meantime.
/// The future is polled and dropped on the main stack.
///
/// # Errors
///
/// [`CannotBlock`]; the future was then not polled to completion.
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

/// [`block_on`] with a deadline: `None` if that comes first. With a deadline in the past, the domain has one turn,
/// and what that makes ready counts.
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
                // A caller that polls in a loop must not keep out what it polls for.
                cx.waker().wake_by_ref();
            }
            turned = true;
            Poll::Pending
        })
        .await
    })
}

/// Calls `f` on the main stack, with the main stack's thread-local storage, and waits for that. It is
/// inside a poll there: it cannot block. On the main stack itself this is an ordinary call.
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

/// Lets every other ready thread and task run once, and timers and events too.
///
/// # Errors
///
/// [`CannotBlock`].
pub fn yield_now() -> Result<(), CannotBlock> {
    block_on(Yield(false))
}

/// Called after making another thread ready: with a [seed](crate::set_seed), that one may run first.
pub(crate) fn perhaps_yield() {
    if order::gives_way() && thread::running().is_some() {
        // On a thread this always works.
        let _ = yield_now();
    }
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
