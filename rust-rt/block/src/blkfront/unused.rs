//! Disks that the toolstack plugs into the domain while it runs (`xl block-attach`), and that nobody in it uses.
//!
//! As long as the frontend's end says that it begins, its backend waits for it to go on, also when it is to be removed: the
//! toolstack's command fails then, after some time. So an end that nobody has taken up is closed, with a word on the
//! console. A driver that is opened later begins anew, and the backend with it.

use alloc::{boxed::Box, format, string::String};
use core::{
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
};
use mirust_executor::{domain, time::Duration};
use mirust_xen::xenstore::{Error, Xenstore};

/// Where the ends of all disks are.
const DISKS: &str = "device/vbd";
/// Whoever starts has better things to ask of xenstore; and what the domain has from its start, its program may take up
/// late.
const LATER: Duration = Duration::from_secs(1);
/// What a driver takes until it has begun, and how often to look whether the backend is made.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOKS: usize = 15;

/// `Initialising`, `InitWait` and `Closed` ([`State`](mirust_xen::xenbus::State)), as they are written.
const BEGINS: &str = "1";
const WAITS: &str = "2";
const CLOSED: &str = "6";

/// Has such disks closed from now on. Programs that use no disk need not pay for that.
pub(super) fn watch_over() {
    static DONE: AtomicBool = AtomicBool::new(false);
    let Ok(store) = mirust_xen::store() else { return };
    if !DONE.swap(true, Ordering::Relaxed) {
        domain::spawn(async {
            let error = serve(store, |duration| Box::pin(domain::sleep(duration))).await;
            log::error!("disks that nobody uses are not heard of: {error}");
        });
    }
}

/// Closes the ends that nobody takes up. Ends only with the error that makes that impossible.
async fn serve(store: Xenstore, sleep: fn(Duration) -> Pin<Box<dyn Future<Output = ()>>>) -> Error {
    sleep(LATER).await;
    let mut watch = match store.watch(DISKS).await {
        Ok(watch) => watch,
        Err(error) => return error,
    };
    loop {
        // The first event is for the directory, and about nothing new; so is the one after each broken connection.
        let Ok(path) = watch.next().await else { continue };
        let Some(end) = path.strip_suffix("/backend") else { continue };
        for _ in 0..LOOKS {
            sleep(PATIENCE).await;
            if close(&store, end, path.clone()).await {
                break;
            }
        }
    }
}

/// Closes an end that nobody has taken up. False if the backend is not ready yet.
async fn close(store: &Xenstore, end: &str, named: String) -> bool {
    let state = format!("{end}/state");
    // Nor is there anything to do if it is gone again.
    if value(store, state.clone()).await != BEGINS {
        return true;
    }
    let backend = value(store, named).await;
    if value(store, format!("{backend}/state")).await != WAITS {
        return false;
    }
    log::warn!("{end}: nothing in this program uses the disk");
    let _ = store.write(&state, CLOSED).await;
    true
}

/// The value of a node, and nothing if there is none. One function for all, for the sake of the image's size.
#[inline(never)]
fn value(store: &Xenstore, path: String) -> Pin<Box<dyn Future<Output = String> + '_>> {
    Box::pin(async move { store.read_text(&path).await.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mirust_xen::{testing::poll_once, xenbus::fake::sleep, xenstore::daemon::Rig};

    const END: &str = "device/vbd/51728";
    const BACKEND: &str = "/local/domain/3/backend/vbd/1/51728";

    /// What the end's state is after a device was plugged in whose ends are in these states, and its backend's becomes
    /// another one later.
    fn plugged(front: &str, back: &str, later: Option<&str>) -> alloc::vec::Vec<u8> {
        let rig = Rig::new();
        let mut serve = Box::pin(serve(rig.store.clone(), sleep));
        let run = |serve: &mut _, steps: usize| {
            for _ in 0..steps {
                assert!(poll_once(serve).is_pending());
                rig.step();
            }
        };
        let change = |node: &str, value: &str| {
            rig.daemon.borrow_mut().change(node, value.as_bytes());
        };
        run(&mut serve, 200);
        change(&format!("{BACKEND}/state"), back);
        change(&format!("{END}/state"), front);
        change(&format!("{END}/backend"), BACKEND);
        run(&mut serve, 200);
        if let Some(later) = later {
            change(&format!("{BACKEND}/state"), later);
            run(&mut serve, 2000);
        }
        rig.daemon.borrow().tree[&format!("{END}/state")].clone()
    }

    #[test]
    fn an_end_that_nobody_takes_up_is_closed() {
        assert_eq!(plugged(BEGINS, WAITS, None), b"6");
    }

    #[test]
    fn an_end_with_a_driver_is_left_alone() {
        for state in ["3", "4", "5", "6"] {
            assert_eq!(plugged(state, WAITS, None), state.as_bytes());
        }
    }

    #[test]
    fn a_backend_that_is_being_made_is_waited_for() {
        assert_eq!(plugged(BEGINS, "1", None), b"1");
        assert_eq!(plugged(BEGINS, "1", Some(WAITS)), b"6");
    }
}
