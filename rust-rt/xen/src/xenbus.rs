//! Both ends of a device in xenstore, and their state machine (Xen's `io/xenbus.h`).
//!
//! Each end publishes its state in xenstore and watches the other's:
//!
//! ```text
//!   frontend                          backend
//!   Initialising                      Initialising
//!        │                            InitWait       features are in xenstore
//!        │  rings, channels ◄────────────┘
//!   Connected ──────────────────────► Connected      frames go
//!        │                               │
//!        │        ◄────────────────── Closing        detached, or the backend goes away
//!   Closed ─────────────────────────► Closed
//!        │
//!   Initialising ───────────────────► InitWait       and again, if the backend stays
//! ```

mod end;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod together;

use core::str::FromStr;

pub use end::{Backend, ConnectError, End, in_time, parsed};
pub use together::{all, both};

/// A state, as in xenstore.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum State {
    /// There is no such node, or it is malformed.
    Unknown = 0,
    /// The end has just been made.
    Initialising = 1,
    /// The end waits for the other one.
    InitWait = 2,
    /// The end has published its part and waits for the connection.
    Initialised = 3,
    /// The end is connected.
    Connected = 4,
    /// The end is going away.
    Closing = 5,
    /// The end has released everything.
    Closed = 6,
    /// The end is changing something.
    Reconfiguring = 7,
    /// The end has changed something.
    Reconfigured = 8,
}

impl State {
    /// All of them, in the order of their numbers.
    pub const ALL: [State; 9] = [
        State::Unknown,
        State::Initialising,
        State::InitWait,
        State::Initialised,
        State::Connected,
        State::Closing,
        State::Closed,
        State::Reconfiguring,
        State::Reconfigured,
    ];
}

impl FromStr for State {
    type Err = core::convert::Infallible;

    fn from_str(text: &str) -> Result<State, Self::Err> {
        let number: Option<usize> = text.parse().ok();
        let state = number.and_then(|n| State::ALL.get(n).copied());
        Ok(state.unwrap_or(State::Unknown))
    }
}

/// The state of a frontend. The other states of xenbus are not used here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Front {
    /// Nothing is set up.
    Initialising,
    /// Rings and channels are published.
    Connected,
    /// The link is in use.
    Up,
    /// The queue has been stopped; the backend may still use the rings.
    Stopped,
    /// Everything has been released.
    Closed,
}

/// What this end does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Wait for the backend, or for something else to happen.
    Wait,
    /// Set up rings and channels, publish them and become `Connected`.
    Connect,
    /// Use the link.
    GoUp,
    /// Stop using the link, publish `Closed`, and wait for the backend to release everything.
    Stop,
    /// The backend has released everything: take the memory back.
    End,
    /// Start again: publish `Initialising`.
    Restart,
    /// Nothing can follow until the toolstack makes another backend.
    Leave,
}

/// The step that follows from both ends' states. `online` is what the backend's node of that name
/// says: whether the toolstack wants the device to exist.
pub fn step(front: Front, back: State, online: bool) -> Step {
    use State::*;
    match (front, back) {
        // Reached by a restart while the backend has not heard of it: it will go to InitWait.
        (Front::Initialising, Unknown | Initialising | Initialised) => Step::Wait,
        // A backend that is connected to what was here before; it will close.
        (Front::Initialising, Connected | Reconfiguring | Reconfigured) => Step::Wait,
        (Front::Initialising, InitWait) => Step::Connect,
        // To be acknowledged, or the toolstack waits for it.
        (Front::Initialising, Closing) => Step::Stop,
        (Front::Initialising, Closed) => {
            if online {
                Step::Wait
            } else {
                Step::Stop
            }
        }

        // It has not looked yet.
        (Front::Connected, InitWait | Initialised | Reconfiguring | Reconfigured) => Step::Wait,
        (Front::Connected, Connected) => Step::GoUp,
        (Front::Connected, Unknown | Initialising | Closing | Closed) => Step::Stop,

        (Front::Up, Connected | Reconfiguring | Reconfigured) => Step::Wait,
        // Another backend, or a restarted one.
        (Front::Up, Unknown | Initialising | InitWait | Initialised) => Step::Stop,
        (Front::Up, Closing | Closed) => Step::Stop,

        // Whatever is not one of these may still read and write the rings.
        (Front::Stopped, Connected | Closing | Initialised) => Step::Wait,
        (Front::Stopped, Reconfiguring | Reconfigured) => Step::Wait,
        (Front::Stopped, Unknown | Initialising | InitWait | Closed) => Step::End,

        (Front::Closed, Unknown) => Step::Leave,
        (Front::Closed, Closed | Closing) => {
            if online {
                Step::Restart
            } else {
                Step::Leave
            }
        }
        (Front::Closed, Initialising | InitWait | Initialised) => Step::Restart,
        (Front::Closed, Connected | Reconfiguring | Reconfigured) => Step::Restart,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_numbers_and_nonsense_is_unknown() {
        for (number, state) in State::ALL.iter().enumerate() {
            assert_eq!(alloc::format!("{number}").parse(), Ok(*state));
            assert_eq!(*state as usize, number);
        }
        for text in ["", "9", "-1", " 4", "4\0", "four", "99999999999999999999"] {
            assert_eq!(text.parse(), Ok(State::Unknown), "{text:?}");
        }
    }

    /// Steps through a life of the device: the backend's states, and what is done at each.
    fn life(backend: &[(State, bool)]) -> alloc::vec::Vec<Step> {
        let mut front = Front::Initialising;
        let mut steps = alloc::vec::Vec::new();
        for (back, online) in backend {
            loop {
                let next = step(front, *back, *online);
                if next == Step::Wait {
                    break;
                }
                steps.push(next);
                front = match next {
                    Step::Connect => Front::Connected,
                    Step::GoUp => Front::Up,
                    Step::Stop => Front::Stopped,
                    Step::End => Front::Closed,
                    Step::Restart => Front::Initialising,
                    Step::Leave | Step::Wait => break,
                };
                assert!(steps.len() < 100, "goes round in circles");
            }
        }
        steps
    }

    #[test]
    fn connects_and_is_detached() {
        use State::*;
        let steps = life(&[
            (Initialising, true),
            (InitWait, true),
            (Connected, true),
            (Closing, false),
            (Closed, false),
            (Unknown, false),
        ]);
        let expected = [Step::Connect, Step::GoUp, Step::Stop, Step::End, Step::Leave, Step::Leave];
        assert_eq!(steps, expected);
    }

    #[test]
    fn connects_again_when_the_backend_stays() {
        use State::*;
        let backend =
            [InitWait, Connected, Closing, Closed, InitWait, Connected].map(|state| (state, true));
        let round = [Step::Connect, Step::GoUp];
        let close = [Step::Stop, Step::End, Step::Restart];
        assert_eq!(life(&backend), [&round[..], &close, &round].concat());
    }

    #[test]
    fn detach_before_the_connection_is_acknowledged() {
        use State::*;
        assert_eq!(life(&[(Initialising, true), (Closing, false)]), [Step::Stop]);
        assert_eq!(life(&[(InitWait, true), (Closing, false)]), [Step::Connect, Step::Stop]);
    }

    #[test]
    fn no_state_of_the_backend_leads_round_in_circles() {
        for back in State::ALL {
            for online in [false, true] {
                life(&[(back, online)]);
                life(&[(State::InitWait, true), (State::Connected, true), (back, online)]);
            }
        }
    }
}
