//! Connections: relays both ways, no faster than the receiver reads, and closes each direction separately.

use crate::{
    domain::{Domain, Farewell, Refusal},
    knock::{Client, Gate, count_refusal},
};
use socket2::{SockRef, TcpKeepalive};
use std::{cell::RefCell, io, net::Shutdown, rc::Rc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    task::{coop, spawn_local},
    time::sleep,
    try_join,
};

/// How much is read at a time, in octets.
const BUFFER: usize = 64 << 10;
/// How many unused buffers are kept.
const SPARE: usize = 32;
/// How long a client may be silent before the kernel probes whether it still exists.
const KEEPALIVE: Duration = Duration::from_secs(60);

thread_local! {
    /// A connection has a buffer only while it has data: an idle one costs two sockets and little else.
    static BUFFERS: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Serves a listener. Never returns.
pub async fn serve(listener: Rc<TcpListener>, domain: Rc<Domain>, gate: Rc<Gate>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (domain, gate) = (domain.clone(), gate.clone());
                spawn_local(async move {
                    if let Err(refusal) = client(&stream, &domain, &gate).await {
                        count_refusal(&domain, peer, &refusal);
                        reset(&stream);
                    }
                });
            }
            Err(error) => {
                // Usually there are no descriptors left. Waiting clients stay in the listener's queue.
                log::warn!("{}: {}: {error}", domain.name(), gate.way.place);
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves one client.
async fn client(client: &TcpStream, domain: &Rc<Domain>, gate: &Gate) -> Result<(), Refusal> {
    let place = Client::enter(domain, gate)?;
    // A client that vanishes must not count forever. If these options cannot be set, the socket is already dead.
    let _ = client.set_nodelay(true);
    let alive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(Duration::from_secs(10));
    let _ = SockRef::from(client).set_tcp_keepalive(&alive);
    let (server, life) = select! {
        reached = place.reach(gate) => reached?,
        () = place.guest.must_leave() => return Err(Refusal::Connections),
    };
    let server = server.expect("a way of connections");
    if domain.plan().proxy_protocol {
        // The relay will meet any error again.
        let _ = write(&server, introduction(client).as_bytes()).await;
    }
    let both = async {
        try_join!(
            pump(client, &server, Direction::In, &place, life),
            pump(&server, client, Direction::Out, &place, life)
        )
    };
    select! {
        done = both => if done.is_err() {
            // Neither side may mistake this for an orderly end of the data.
            reset(client);
            reset(&server);
        },
        farewell = domain.parted(life) => if farewell == Farewell::Died {
            reset(client);
            reset(&server);
        },
        () = place.guest.must_leave() => {
            reset(&server);
            return Err(Refusal::Connections);
        }
    }
    Ok(())
}

/// The header of the proxy protocol (HAProxy's `proxy-protocol.txt`, version 1): where the client connected from and
/// to.
fn introduction(client: &TcpStream) -> String {
    match (client.peer_addr(), client.local_addr()) {
        (Ok(peer), Ok(here)) => {
            let family = if peer.is_ipv4() { "TCP4" } else { "TCP6" };
            let (from, to) = (peer.ip(), here.ip());
            format!("PROXY {family} {from} {to} {} {}\r\n", peer.port(), here.port())
        }
        _ => "PROXY UNKNOWN\r\n".into(),
    }
}

/// Makes closing the socket reset the connection.
fn reset(stream: &TcpStream) {
    // If this fails, the connection is already closed.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// The direction of data, seen from the domain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    In,
    Out,
}

/// Relays one direction until it ends.
///
/// # Errors
///
/// One of the sockets failed, or the domain did not come back.
async fn pump(
    from: &TcpStream,
    to: &TcpStream,
    direction: Direction,
    place: &Client,
    life: u64,
) -> io::Result<()> {
    let domain = place.domain();
    loop {
        coop::consume_budget().await;
        from.readable().await?;
        let mut buffer = Buffer::new();
        match from.try_read(&mut buffer.0) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read @ (Err(_) | Ok(0)) => {
                drop(buffer);
                if direction == Direction::In {
                    // The domain is told once it is up, but not woken for it.
                    domain.up().await;
                }
                return read.and_then(|_| SockRef::from(to).shutdown(Shutdown::Write));
            }
            Ok(n) => {
                match direction {
                    Direction::In if domain.wake().await != Ok(life) => {
                        return Err(io::ErrorKind::ConnectionReset.into());
                    }
                    Direction::In => {
                        domain.touch();
                        place.guest.asks(n);
                    }
                    Direction::Out => domain.answers(),
                }
                domain.counts.octets[direction as usize].add(n as u64);
                write(to, &buffer.0[..n]).await?;
                if direction == Direction::Out {
                    place.guest.is_answered();
                }
            }
        }
    }
}

/// A buffer from the spare ones, to which it returns.
struct Buffer(Box<[u8]>);

impl Buffer {
    fn new() -> Self {
        let spare = BUFFERS.with(|spare| spare.borrow_mut().pop());
        Buffer(spare.unwrap_or_else(|| vec![0; BUFFER].into()))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        // Connections may still be dropped when this thread ends, and the spare buffers are gone.
        let _ = BUFFERS.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARE {
                spare.push(buffer);
            }
        });
    }
}

/// Writes all of it.
async fn write(to: &TcpStream, mut octets: &[u8]) -> io::Result<()> {
    while !octets.is_empty() {
        match to.try_write(octets) {
            Ok(n) => octets = &octets[n..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => to.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
