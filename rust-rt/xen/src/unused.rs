//! Devices that the toolstack plugs into the domain while it runs (`xl block-attach`), and that nobody in it uses.
//!
//! As long as the frontend's end says that it begins, a backend waits for it to go on, also when it is to be removed: the
//! toolstack's command fails then, after some time. So an end that nobody has taken up is closed, with a word on the
//! console. A driver that is opened later begins anew, and the backend with it.

use super::xenstore::{Error, Xenstore};
use alloc::{boxed::Box, format};
use core::pin::Pin;
use mirust_executor::time::Duration;

/// Where the ends of all devices are.
const DEVICES: &str = "device";
/// Whoever starts has better things to ask of xenstore; and what the domain has from its start, its program may take up
/// late.
const LATER: Duration = Duration::from_secs(1);
/// What a driver takes until it has begun, and how often to look whether the backend is made.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOKS: usize = 15;

/// `Initialising`, `InitWait` and `Closed` ([`State`](super::xenbus::State)), as they are written.
const BEGINS: &str = "1";
const WAITS: &str = "2";
const CLOSED: &str = "6";

/// Closes the ends that nobody takes up, of devices that are plugged in from now on. Ends only with the error that makes that impossible.
pub async fn serve(
    store: Xenstore,
    sleep: fn(Duration) -> Pin<Box<dyn Future<Output = ()>>>,
) -> Error {
    sleep(LATER).await;
    let mut watch = match store.watch(DEVICES).await {
        Ok(watch) => watch,
        Err(error) => return error,
    };
    loop {
        // The first event is for the directory, and about nothing new; so is the one after each broken connection.
        let Ok(path) = watch.next().await else { continue };
        let Some(end) = path.strip_suffix("/backend") else { continue };
        for _ in 0..LOOKS {
            sleep(PATIENCE).await;
            if close(&store, end, &path).await {
                break;
            }
        }
    }
}

/// Closes an end that nobody has taken up. False if the backend is not ready yet.
async fn close(store: &Xenstore, end: &str, named: &str) -> bool {
    let state = format!("{end}/state");
    // Nor is there anything to do if it is gone again.
    if !store.read_text(&state).await.is_ok_and(|state| state == BEGINS) {
        return true;
    }
    let Ok(backend) = store.read_text(named).await else { return true };
    if !store.read_text(&format!("{backend}/state")).await.is_ok_and(|state| state == WAITS) {
        return false;
    }
    log::warn!("{end}: nothing in this program uses it");
    let _ = store.write(&state, CLOSED).await;
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{testing::poll_once, xenbus::fake::sleep, xenstore::daemon::Rig};

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
