//! Disks that the toolstack attaches to the running domain (`xl block-attach`) and that the program does not use.
//!
//! While the frontend's state is Initialising, the backend waits for it, even if the disk is to be removed: the
//! toolstack's command then fails after some time. So the frontend of an unused disk is closed, with a line on the
//! console. A driver that is opened later starts over, and the backend with it.

use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::{
    cell::RefCell,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
};
use mirust_executor::{domain, time::Duration};
use mirust_xen::{
    xenbus::End,
    xenstore::{Error, Xenstore},
};

/// Where the ends of all disks are.
const DISKS: &str = "device/vbd";
/// A starting domain has more urgent requests to xenstore, and its program may open late what it had from the start.
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

/// The states of the ends that have a driver. It says so before it begins, which may take as long as an earlier backend
/// keeps its pages.
struct Drivers(RefCell<Vec<String>>);

// SAFETY: an image has one thread of execution, and no borrow lasts beyond a statement; each test has its own.
#[cfg(not(test))]
unsafe impl Sync for Drivers {}

/// Calls `f` with them.
fn drivers<R>(f: impl FnOnce(&RefCell<Vec<String>>) -> R) -> R {
    #[cfg(not(test))]
    static DRIVERS: Drivers = Drivers(RefCell::new(Vec::new()));
    #[cfg(not(test))]
    return f(&DRIVERS.0);
    #[cfg(test)]
    {
        std::thread_local!(static DRIVERS: Drivers = const { Drivers(RefCell::new(Vec::new())) });
        DRIVERS.with(|drivers| f(&drivers.0))
    }
}

/// An end whose driver is open, until this is dropped: the path of its state.
pub(super) struct Driven(String);

impl Driven {
    pub(super) fn new(end: &End) -> Driven {
        let state = end.node("state");
        drivers(|all| all.borrow_mut().push(state.clone()));
        Driven(state)
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        drivers(|all| {
            let mut all = all.borrow_mut();
            if let Some(at) = all.iter().position(|state| *state == self.0) {
                all.swap_remove(at);
            }
        });
    }
}

/// Closes an end that nobody has taken up. False if the backend is not ready yet.
///
/// In a transaction: a driver that begins meanwhile has its own state there, which stays.
async fn close(store: &Xenstore, end: &str, named: String) -> bool {
    let state = format!("{end}/state");
    let closed = store.transaction(async |store| {
        // Nor is there anything to do if it is gone again.
        let driven = drivers(|all| all.borrow().contains(&state));
        if driven || value(store, state.clone()).await != BEGINS {
            return Ok(None);
        }
        let backend = value(store, named.clone()).await;
        let ready = value(store, format!("{backend}/state")).await == WAITS;
        if ready {
            store.write(&state, CLOSED).await?;
        }
        Ok(Some(ready))
    });
    match closed.await {
        Ok(None) => true,
        Ok(Some(false)) | Err(_) => false,
        Ok(Some(true)) => {
            log::warn!("{end}: nothing in this program uses the disk");
            true
        }
    }
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

    /// As above, with something that is done when the end has been looked at this many times in a transaction.
    fn looked_at(meanwhile: impl Fn(&Rig)) -> alloc::vec::Vec<u8> {
        let rig = Rig::new();
        let mut close = Box::pin(close(&rig.store, END, format!("{END}/backend")));
        let tree = [("/state", "1"), ("/backend", BACKEND)];
        for (node, value) in tree {
            rig.daemon.borrow_mut().change(&format!("{END}{node}"), value.as_bytes());
        }
        rig.daemon.borrow_mut().change(&format!("{BACKEND}/state"), b"2");
        let mut changed = false;
        while poll_once(&mut close).is_pending() {
            rig.step();
            if !changed && rig.daemon.borrow().open_transactions() > 0 {
                meanwhile(&rig);
                changed = true;
            }
        }
        drop(close);
        rig.daemon.borrow().tree[&format!("{END}/state")].clone()
    }

    #[test]
    fn a_driver_that_begins_while_it_is_looked_at_keeps_its_state() {
        let begins = |rig: &Rig| {
            let mut daemon = rig.daemon.borrow_mut();
            daemon.change(&format!("{END}/state"), b"3");
            daemon.conflicts = 1;
        };
        assert_eq!((looked_at(|_| ()), looked_at(begins)), (b"6".into(), b"3".into()));
    }

    #[test]
    fn an_end_whose_driver_has_yet_to_begin_is_left_alone() {
        let end = mirust_xen::xenbus::End::new(Rig::new().store.clone(), END.into());
        let driver = Driven::new(&end);
        assert_eq!(plugged(BEGINS, WAITS, None), b"1");
        let other = Driven::new(&end);
        drop(driver);
        assert_eq!(plugged(BEGINS, WAITS, None), b"1");
        drop(other);
        assert_eq!(plugged(BEGINS, WAITS, None), b"6");
    }

    #[test]
    fn a_backend_that_is_being_made_is_waited_for() {
        assert_eq!(plugged(BEGINS, "1", None), b"1");
        assert_eq!(plugged(BEGINS, "1", Some(WAITS)), b"6");
    }
}
