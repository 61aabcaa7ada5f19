//! What can be said about a domain.

use std::{fmt, rc::Rc, time::Instant};

/// The state of a domain.
#[derive(Clone, Debug)]
pub enum State {
    /// It does not exist.
    Asleep,
    /// xl is creating or restoring it.
    Starting,
    /// It exists. It may not answer yet.
    Up,
    /// xl is putting it to sleep.
    Leaving,
    /// It could not be started, or did not answer. It is not tried again before `until`.
    Failed { until: Instant, why: Rc<str> },
}

/// How a domain came to be up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By `xl create`.
    Created,
    /// By `xl restore`, from the state of its last sleep, with its connections.
    Continued,
    /// By `xl restore`, from its `warm` state.
    Restored,
    /// It was running already.
    Found,
}

/// Why a client is refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Too many clients are waiting.
    Queue,
    /// There are too many clients.
    Connections,
    /// The domain did not come up.
    Failed(Rc<str>),
    /// It did not answer in time.
    Silent(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Queue => f.write_str("too many clients are waiting already (`queue`)"),
            Refusal::Connections => {
                f.write_str("there are too many clients already (`connections`)")
            }
            Refusal::Failed(why) => f.write_str(why),
            Refusal::Silent(why) => f.write_str(why),
        }
    }
}

/// Why the connections to a domain have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// It was put to sleep, and they were idle.
    Slept,
    /// It ended by itself, or failed.
    Died,
}
