//! The configuration: what is served where, by which domain. It is read from TOML and checked as a whole, so that
//! whoever wrote it sees all faults at once, each with its line and what to do about it.

mod check;
mod raw;
mod time;

pub use check::presence;

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, rc::Rc, time::Duration};

/// The whole file, checked.
#[derive(Debug)]
pub struct Config {
    /// What is the same for all domains.
    pub general: Rc<General>,
    /// The domains by their names.
    pub domains: BTreeMap<String, Rc<Plan>>,
}

/// The table `[summon]`.
#[derive(Debug, PartialEq, Eq)]
pub struct General {
    /// The toolstack's program, by path or by name in `PATH`.
    pub xl: PathBuf,
    /// How long one call of it may take.
    pub xl_limit: Duration,
    /// A program that prints a line whenever a domain may have ended, and its arguments.
    pub deaths: Vec<String>,
    /// The directory that saved states are kept in.
    pub state: PathBuf,
    /// Where the metrics are served.
    pub metrics: Option<SocketAddr>,
    /// How many domains may be started at a time, and as many put to sleep.
    pub starts: usize,
}

/// A table `[domain.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The domain's name, for `xl` too.
    pub name: String,
    /// What `xl create` is given.
    pub config: PathBuf,
    /// A state that each start is a restoration of.
    pub warm: Option<PathBuf>,
    /// What is served.
    pub ways: Vec<Way>,
    /// Where a connection is accepted when the domain can serve; else each target is asked itself.
    pub ready: Option<SocketAddr>,
    /// How long there must have been no traffic before the domain goes to sleep; never if `None`.
    pub idle: Option<Duration>,
    /// How it goes to sleep.
    pub asleep: Asleep,
    /// How long a client is held while the domain does not answer.
    pub hold: Duration,
    /// How many clients are held at a time.
    pub queue: usize,
    /// How many clients there may be at a time.
    pub connections: usize,
    /// How long nobody tries again after a start that failed.
    pub retry: Duration,
    /// Whether each connection begins with a line that says whose it is.
    pub proxy_protocol: bool,
}

/// From a socket of dom0 to one of the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    /// Where clients come.
    pub place: Place,
    /// Where the domain serves.
    pub target: SocketAddr,
}

/// What a socket listens at.
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

/// What is done with a domain that nobody uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asleep {
    /// `xl save`; connections stay open.
    Save,
    /// `xl shutdown`, which asks the domain.
    Shutdown,
    /// `xl destroy`, which does not.
    Destroy,
}

/// A fault of the file: where it is, and what to do.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Counted from 1.
    pub line: usize,
    /// One sentence, and the remedy.
    pub what: String,
}

/// Reads a configuration.
///
/// # Errors
///
/// All faults that were found, in the order of their lines. A file that is no TOML, or has a value of the wrong type,
/// has one fault: the first.
pub fn parse(text: &str) -> Result<Config, Vec<Fault>> {
    let raw = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line(text, span.start));
        vec![Fault { line, what: raw::explain(&error) }]
    })?;
    let mut checker = check::Checker::new(text);
    let config = checker.config(raw);
    checker.done(config)
}

/// The line of an octet.
fn line(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|&&octet| octet == b'\n').count() + 1
}

#[cfg(test)]
mod tests;
