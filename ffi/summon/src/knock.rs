//! Brings a client to the domain: admission, and the wait until the domain answers.

use crate::{
    config::{Protocol, Way},
    domain::{Domain, Refusal},
    places::Guest,
};
use std::{cell::Cell, io, net::SocketAddr, rc::Rc, time::Duration};
use tokio::{
    net::TcpStream,
    sync::Mutex,
    time::{sleep, timeout},
};

/// How long one attempt to connect may take, at first and at last. The kernel retransmits a lost SYN only after a
/// second, and a domain that has just started may have been up for most of that time.
const ATTEMPT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));
/// The pause after an attempt that failed, at first and at last.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// A way, and whether the domain has answered at its end.
pub struct Gate {
    /// Where it leads.
    pub way: Way,
    /// The number of the start since which the domain has answered here.
    answered: Cell<u64>,
    /// Until it has, one client at a time tries.
    knocking: Mutex<()>,
}

impl Gate {
    pub fn new(way: Way) -> Self {
        Gate { way, answered: Cell::new(0), knocking: Mutex::new(()) }
    }

    /// Whether clients can connect without waiting. Starts are counted from 1.
    fn is_open(&self, domain: &Domain) -> bool {
        domain.is_up() && self.answered.get() == domain.start_number()
    }
}

/// An admitted client. Dropping it makes room for another.
pub struct Client {
    domain: Rc<Domain>,
    /// Its place, which it may have to give to another.
    pub guest: Rc<Guest>,
}

impl Client {
    /// Admits a client, for which another may have to leave.
    ///
    /// # Errors
    ///
    /// The limit on waiting clients is reached.
    pub fn enter(domain: &Rc<Domain>, gate: &Gate) -> Result<Self, Refusal> {
        let (plan, counts) = (domain.plan(), &domain.counts);
        if !gate.is_open(domain) && counts.held.get() >= plan.queue as u64 {
            return Err(Refusal::Queue);
        }
        counts.open.add(1);
        Ok(Client { domain: domain.clone(), guest: domain.places.take(plan.connections) })
    }

    /// Whose client it is.
    pub fn domain(&self) -> &Rc<Domain> {
        &self.domain
    }

    /// Waits until the domain answers. Returns the connection, except for UDP, and the number of the domain's life.
    ///
    /// # Errors
    ///
    /// The domain failed, or the client has waited for as long as `hold` allows.
    pub async fn reach(&self, gate: &Gate) -> Result<(Option<TcpStream>, u64), Refusal> {
        struct Held<'a>(&'a Domain);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                self.0.counts.held.sub(1);
            }
        }
        self.domain.counts.held.add(1);
        let _held = Held(&self.domain);
        let hold = self.domain.plan().hold;
        match timeout(hold, knock(&self.domain, gate)).await {
            Ok(result) => result,
            Err(_) => Err(self.domain.was_silent()),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.domain.counts.open.sub(1);
        self.domain.places.give(&self.guest);
    }
}

/// Counts a refusal, and logs it for debugging.
pub fn count_refusal(domain: &Domain, peer: SocketAddr, refusal: &Refusal) {
    let reason = match refusal {
        Refusal::Queue => 0,
        Refusal::Connections => 1,
        Refusal::Failed(_) => 2,
        Refusal::Silent(_) => 3,
    };
    domain.counts.refused[reason].add(1);
    log::debug!("{}: {peer} is refused: {refusal}", domain.name());
}

async fn knock(domain: &Rc<Domain>, gate: &Gate) -> Result<(Option<TcpStream>, u64), Refusal> {
    let (mut limit, mut pause) = (ATTEMPT.0, PAUSE.0);
    loop {
        let life = domain.wake().await?;
        let start = domain.start_number();
        // The first client to try keeps the others waiting here until the domain answers.
        let mut turn = None;
        if !gate.is_open(domain) {
            turn = Some(gate.knocking.lock().await);
            if gate.is_open(domain) || domain.start_number() != start {
                continue;
            }
        }
        match attempt(domain, gate, turn.is_some(), limit).await {
            Ok(stream) => {
                gate.answered.set(start);
                domain.answers();
                return Ok((stream, life));
            }
            // The domain is not to blame.
            Err(error) if is_ours(&error) => return Err(Refusal::Connections),
            Err(error) => domain.has_trouble(error.to_string()),
        }
        sleep(pause).await;
        (limit, pause) = ((limit * 2).min(ATTEMPT.1), (pause * 2).min(PAUSE.1));
    }
}

/// Whether an error says that this program has no descriptors left.
fn is_ours(error: &io::Error) -> bool {
    /// ENFILE and EMFILE of Linux.
    const NO_DESCRIPTORS: [i32; 2] = [23, 24];
    error.raw_os_error().is_some_and(|code| NO_DESCRIPTORS.contains(&code))
}

/// One attempt. The connection that finds the domain up is the client's own, so that the service never sees a probe.
async fn attempt(
    domain: &Domain,
    gate: &Gate,
    first: bool,
    limit: Duration,
) -> io::Result<Option<TcpStream>> {
    let Way { place, target } = gate.way;
    let ready = domain.plan().ready;
    if let (true, Some(ready)) = (first, ready) {
        connect(ready, limit).await.map_err(|error| at(ready, "(`ready`) ", error))?;
    }
    match place.protocol {
        Protocol::Tcp => {
            connect(target, limit).await.map(Some).map_err(|error| at(target, "", error))
        }
        Protocol::Udp if !first || ready.is_some() => Ok(None),
        // What answers a datagram depends on the protocol, but a machine that is up accepts or refuses a connection.
        Protocol::Udp => match connect(target, limit).await {
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(None),
            Err(error) => Err(at(target, "neither accepts nor refuses a connection: ", error)),
        },
    }
}

/// An error with the address and a word of what was tried; the system's own if this program is to blame.
fn at(address: SocketAddr, what: &str, error: io::Error) -> io::Error {
    if is_ours(&error) {
        return error;
    }
    io::Error::new(error.kind(), format!("{address}: {what}{error}"))
}

async fn connect(target: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let stream = timeout(limit, TcpStream::connect(target))
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer")))?;
    // Octets are passed on as they come, without waiting for more.
    stream.set_nodelay(true)?;
    Ok(stream)
}
