//! For tests of a frontend: xenstore as the toolstack and a driver domain use it.

use super::State;
use crate::xenstore::daemon;
use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
};
use core::{future::poll_fn, pin::Pin, task::Poll};
use mirust_executor::time::Duration;

/// Values to be written where they make no sense.
pub const NONSENSE: &[&str] = &[
    "",
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
    "-1",
    "513",
    "65536",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "x",
    "00:16:3e:01:02:0g",
    "/",
    "//",
    "/local/domain/9/backend",
    "\u{fffd}",
    "1 ",
    "0x1",
];

/// Ready after a number of polls, each of which stands for some time.
pub fn sleep(duration: Duration) -> Pin<Box<dyn Future<Output = ()>>> {
    let mut left = 20 * duration.as_secs();
    Box::pin(poll_fn(move |_| {
        left = left.saturating_sub(1);
        if left == 0 { Poll::Ready(()) } else { Poll::Pending }
    }))
}

/// A device's nodes in a fake xenstore, and what the backend has seen there.
pub struct Toolstack {
    /// Xenstore and its client.
    pub store: daemon::Rig,
    /// The frontend's directory.
    pub front: &'static str,
    /// The backend's.
    pub back: String,
    /// The state of the frontend that the backend has answered last.
    pub seen: State,
}

impl Toolstack {
    /// For the frontend in this directory, which does not exist yet.
    pub fn new(front: &'static str) -> Toolstack {
        let store = daemon::Rig::new();
        Toolstack { store, front, back: String::new(), seen: State::Unknown }
    }

    /// Writes a node, as another domain.
    pub fn set(&self, path: &str, value: &str) {
        self.store.daemon.borrow_mut().change(path, value.as_bytes());
    }

    /// Reads a node, as another domain.
    pub fn get(&self, path: &str) -> Option<String> {
        let daemon = self.store.daemon.borrow();
        daemon.tree.get(path).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// What the frontend, or the toolstack for it, has written.
    pub fn front(&self, name: &str) -> Option<String> {
        self.get(&format!("{}/{name}", self.front))
    }

    /// The path of a node of the backend.
    pub fn back_node(&self, name: &str) -> String {
        format!("{}/{name}", self.back)
    }

    /// The frontend's state.
    pub fn front_state(&self) -> State {
        self.front("state").map_or(State::Unknown, |state| state.parse().unwrap())
    }

    /// The backend's state.
    pub fn back_state(&self) -> State {
        self.get(&self.back_node("state")).map_or(State::Unknown, |state| state.parse().unwrap())
    }

    /// Makes the device, with its backend in this directory; both say what is in the lists.
    pub fn attach(&mut self, back: String, of_front: &[(&str, &str)], of_back: &[(&str, &str)]) {
        self.back = back;
        self.seen = State::Unknown;
        self.set(&self.back_node("state"), "1");
        self.set(&self.back_node("online"), "1");
        for (name, value) in of_back {
            self.set(&self.back_node(name), value);
        }
        let front = |name: &str| format!("{}/{name}", self.front);
        for (name, value) in of_front {
            self.set(&front(name), value);
        }
        self.set(&front("backend-id"), "3");
        self.set(&front("state"), "1");
        self.set(&front("backend"), &self.back);
        self.set(&self.back_node("state"), "2");
    }

    /// Asks for the device to be unplugged.
    pub fn ask_to_detach(&self) {
        self.set(&self.back_node("online"), "0");
        self.set(&self.back_node("state"), "5");
    }

    /// Removes both directories.
    pub fn remove(&self) {
        self.store.daemon.borrow_mut().remove(self.front);
        self.store.daemon.borrow_mut().remove(&self.back);
    }

    /// What Linux's backends do when the frontend's state has changed: the state that they go to, if to any.
    /// One that is told to connect has to do so, and in every other case to let go, before
    /// [`answer`](Self::answer) is called. `connects` is the frontend's state that the kind of device connects upon.
    pub fn reaction(&mut self, connects: State) -> Option<State> {
        let front = self.front_state();
        if front == self.seen {
            return None;
        }
        self.seen = front;
        match (front, self.back_state()) {
            (State::Initialising, State::Closed | State::Closing) => Some(State::InitWait),
            (front, State::InitWait) if front == connects => Some(State::Connected),
            (State::Closing, _) => Some(State::Closing),
            (State::Closed, State::Unknown) => None,
            (State::Closed, _) => Some(State::Closed),
            _ => None,
        }
    }

    /// Writes the backend's state.
    pub fn answer(&self, state: State) {
        self.set(&self.back_node("state"), &(state as u8).to_string());
    }
}
