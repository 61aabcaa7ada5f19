//! What a checked configuration consists of.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, rc::Rc, time::Duration};

/// The whole file, checked.
#[derive(Debug)]
pub struct Config {
    /// The settings that all domains share.
    pub general: Rc<General>,
    /// The domains by their names.
    pub domains: BTreeMap<String, Rc<Plan>>,
}

/// The table `[summon]`.
#[derive(Debug, PartialEq, Eq)]
pub struct General {
    /// The toolstack's program: a path, or a name to be found in `PATH`.
    pub xl: PathBuf,
    /// How long one call of it may take.
    pub xl_limit: Duration,
    /// A program, with its arguments, that prints a line whenever a domain may have ended.
    pub deaths: Vec<String>,
    /// The directory of the saved states.
    pub state: PathBuf,
    /// Where the metrics are served.
    pub metrics: Option<SocketAddr>,
    /// How many domains may be started at a time, and how many put to sleep.
    pub starts: usize,
}

/// A table `[domain.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The domain's name, also for `xl`.
    pub name: String,
    /// The file for `xl create`.
    pub config: PathBuf,
    /// A state that every start restores.
    pub warm: Option<PathBuf>,
    /// What is served.
    pub ways: Vec<Way>,
    /// Where a connection is accepted once the domain can serve. Without it, each target is tried itself.
    pub ready: Option<SocketAddr>,
    /// How long there must be no traffic before the domain is put to sleep; `None` for never.
    pub idle: Option<Duration>,
    /// How it is put to sleep.
    pub asleep: Asleep,
    /// How long a client is held while the domain does not answer.
    pub hold: Duration,
    /// How many clients are held at a time.
    pub queue: usize,
    /// How many clients there may be at a time.
    pub connections: usize,
    /// How long clients are refused after a failed start.
    pub retry: Duration,
    /// Whether each connection begins with a proxy protocol header.
    pub proxy_protocol: bool,
}

/// A socket in dom0 and the domain's socket behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    /// Where clients connect.
    pub place: Place,
    /// Where the domain serves.
    pub target: SocketAddr,
}

/// A socket's protocol and address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Connections or datagrams.
    pub protocol: Protocol,
    /// The address in dom0.
    pub listen: SocketAddr,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.protocol, self.listen)
    }
}

/// What is relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Octets of connections.
    Tcp,
    /// Datagrams.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// How an idle domain is put to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asleep {
    /// `xl save`; connections stay open.
    Save,
    /// `xl shutdown`.
    Shutdown,
    /// `xl destroy`.
    Destroy,
}

/// A fault in the file.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, and what to do about it.
    pub what: String,
}

/// The line of a position in the text.
pub fn line(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|&&octet| octet == b'\n').count() + 1
}
