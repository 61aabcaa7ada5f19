//! The disk while the domain is suspended.
//!
//! A request in flight when the domain is frozen would be performed twice: by that backend, and by the next one, to
//! which it would be issued again; in between, something else may have been written there. So no request may be in
//! flight.

use super::Blkfront;
use crate::Device;
use alloc::{boxed::Box, format, rc::Rc, string::String};
use core::{future::poll_fn, pin::Pin, task::Poll};
use mirust_executor::{
    suspend::{Hooks, Part},
    time::Duration,
};
use mirust_xen::xenbus::in_time;

/// How long the backend may take to answer outstanding requests.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes the disk take part in suspensions of the domain.
pub(super) fn attach(
    device: &Rc<Blkfront>,
    hooks: &Hooks,
    sleep: fn(Duration) -> Pin<Box<dyn Future<Output = ()>>>,
) {
    let disk = Rc::downgrade(device);
    hooks.before(
        Part::Device,
        Box::new(move || {
            let disk = disk.upgrade();
            Box::pin(async move {
                match disk {
                    Some(disk) => freeze(&disk, sleep(PATIENCE)).await,
                    None => Ok(()),
                }
            })
        }),
    );
    let disk = Rc::downgrade(device);
    hooks.after(
        Part::Device,
        Box::new(move |resumed| {
            if let Some(disk) = disk.upgrade() {
                if !resumed.cancelled {
                    // Nobody is at the other end of this ring.
                    disk.stop();
                }
                disk.inner.borrow_mut().frozen = false;
                disk.turn();
            }
            Box::pin(core::future::ready(()))
        }),
    );
}

/// Issues nothing more, and waits until everything is answered.
async fn freeze(disk: &Blkfront, limit: Pin<Box<dyn Future<Output = ()>>>) -> Result<(), String> {
    disk.inner.borrow_mut().frozen = true;
    let answers = poll_fn(|cx| {
        // Registered before the look: the task that takes the answers says so afterwards.
        disk.on_change(cx.waker());
        disk.turn();
        if disk.is_busy() || disk.is_stuck() { Poll::Pending } else { Poll::Ready(()) }
    });
    if in_time(answers, limit).await {
        return Ok(());
    }
    let name = &disk.inner.borrow().engine.name;
    Err(format!("{name}: the backend has not answered for {} s", PATIENCE.as_secs()))
}
