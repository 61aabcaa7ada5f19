//! Datagrams: each active client has its own socket towards the domain.

use crate::{
    domain::{Domain, Refusal},
    knock::{Client, Gate, count_refusal},
};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{
    net::UdpSocket,
    select,
    sync::mpsc,
    task::spawn_local,
    time::{sleep, sleep_until},
};

/// How long a client is remembered after its last datagram.
const MEMORY: Duration = Duration::from_secs(60);
/// How many datagrams of a client may wait for the domain, and how many bytes of all clients of a socket: anybody can
/// send under many addresses.
const QUEUE: usize = 16;
const MOST_WAITING: usize = 4 << 20;
/// The longest datagram, in octets.
const LONGEST: usize = 65_535;
/// How long to wait before resending a datagram that the domain refused: its service may be about to start.
const AGAIN: Duration = Duration::from_millis(100);

/// A datagram that waits.
struct Datagram {
    bytes: Box<[u8]>,
    /// The bytes of all that wait.
    waiting: Rc<Cell<usize>>,
}

impl Datagram {
    /// Unless too many wait.
    fn new(bytes: &[u8], waiting: &Rc<Cell<usize>>) -> Option<Self> {
        let sum = waiting.get() + bytes.len();
        if sum > MOST_WAITING {
            return None;
        }
        waiting.set(sum);
        Some(Datagram { bytes: bytes.into(), waiting: waiting.clone() })
    }
}

impl Drop for Datagram {
    fn drop(&mut self) {
        self.waiting.set(self.waiting.get() - self.bytes.len());
    }
}

type Senders = Rc<RefCell<HashMap<SocketAddr, mpsc::Sender<Datagram>>>>;

/// Serves a socket. Never returns.
pub async fn serve(socket: Rc<UdpSocket>, domain: Rc<Domain>, gate: Rc<Gate>) {
    let (senders, waiting) = (Senders::default(), Rc::default());
    let mut buffer = vec![0; LONGEST];
    loop {
        let (n, peer) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            // An earlier answer could not be delivered; that is no concern of this socket's other clients.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(error) => {
                log::warn!("{}: {}: {error}", domain.name(), gate.way.place);
                sleep(AGAIN).await;
                continue;
            }
        };
        let known = senders.borrow().get(&peer).cloned();
        let sender = known.or_else(|| welcome(peer, &senders, &socket, &domain, &gate));
        let sent = sender
            .zip(Datagram::new(&buffer[..n], &waiting))
            .is_some_and(|(sender, datagram)| sender.try_send(datagram).is_ok());
        if !sent {
            domain.counts.dropped.add(1);
        }
    }
}

/// Admits a new client, if the limits allow.
fn welcome(
    peer: SocketAddr,
    senders: &Senders,
    socket: &Rc<UdpSocket>,
    domain: &Rc<Domain>,
    gate: &Rc<Gate>,
) -> Option<mpsc::Sender<Datagram>> {
    let place = match Client::enter(domain, gate) {
        Ok(place) => place,
        Err(refusal) => {
            count_refusal(domain, peer, &refusal);
            return None;
        }
    };
    let (sender, datagrams) = mpsc::channel(QUEUE);
    senders.borrow_mut().insert(peer, sender.clone());
    let (senders, socket, domain, gate) =
        (senders.clone(), socket.clone(), domain.clone(), gate.clone());
    spawn_local(async move {
        let session = Session { peer, socket, domain: domain.clone(), place, gate };
        let ended = select! {
            ended = session.relay(datagrams) => ended,
            () = session.place.guest.must_leave() => Err(Refusal::Connections.into()),
        };
        match ended {
            Ok(()) => {}
            Err(Ended::Refused(refusal)) => count_refusal(&domain, peer, &refusal),
            Err(Ended::Failed(error)) => {
                log::warn!("{}: datagrams of {peer}: {error}", domain.name())
            }
        }
        senders.borrow_mut().remove(&peer);
    });
    Some(sender)
}

enum Ended {
    Refused(Refusal),
    Failed(io::Error),
}

impl From<Refusal> for Ended {
    fn from(refusal: Refusal) -> Self {
        Ended::Refused(refusal)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Ended::Failed(error)
    }
}

/// One client.
struct Session {
    peer: SocketAddr,
    socket: Rc<UdpSocket>,
    domain: Rc<Domain>,
    place: Client,
    gate: Rc<Gate>,
}

impl Session {
    /// Relays until there has been no traffic for a while.
    async fn relay(&self, mut datagrams: mpsc::Receiver<Datagram>) -> Result<(), Ended> {
        let target = self.gate.way.target;
        let server = UdpSocket::bind(match target {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        })
        .await?;
        server.connect(target).await?;
        let domain = &self.domain;
        let mut answer = vec![0; LONGEST];
        let mut last = Instant::now();
        // The last datagram sent to a domain that has just started, until an answer comes.
        let mut pending: Option<Datagram> = None;
        loop {
            select! {
                datagram = datagrams.recv() => {
                    let datagram = datagram.expect("the table has the sender");
                    self.place.reach(&self.gate).await?;
                    self.send(&server, &datagram.bytes).await;
                    self.place.guest.asks(datagram.bytes.len());
                    pending = domain.is_young().then_some(datagram);
                }
                received = server.recv(&mut answer) => match received {
                    Ok(n) => {
                        pending = None;
                        domain.answers();
                        self.place.guest.is_answered();
                        domain.counts.octets[1].add(n as u64);
                        // If it cannot be delivered it is lost, like any datagram.
                        let _ = self.socket.send_to(&answer[..n], self.peer).await;
                    }
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                        match &pending {
                            Some(datagram) if domain.is_young() => {
                                sleep(AGAIN).await;
                                self.send(&server, &datagram.bytes).await;
                            }
                            _ => pending = None,
                        }
                    }
                    Err(error) => return Err(error.into()),
                },
                () = sleep_until((last + MEMORY).into()) => return Ok(()),
            }
            last = Instant::now();
        }
    }

    async fn send(&self, server: &UdpSocket, datagram: &[u8]) {
        // An error here reports an earlier datagram that was refused; reporting it clears it.
        if server.send(datagram).await.is_err() {
            let _ = server.send(datagram).await;
        }
        self.domain.touch();
        self.domain.counts.octets[0].add(datagram.len() as u64);
    }
}
