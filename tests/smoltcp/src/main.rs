//! smoltcp on a TAP interface, as a third stack to test ours against.
//!
//! ```text
//! smoltcp-peer TAP CIDR echo ADDRESS PORT BYTES    sends BYTES, checks what comes back, closes
//! smoltcp-peer TAP CIDR serve PORT                 echoes one connection, until it is closed
//! ```
//!
//! It ends with status 0 when every byte was right and both directions were closed in good order.

use std::env;
use std::error::Error;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant as Clock};

use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Medium, TunTapInterface, wait};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

const BUFFER: usize = 256 * 1024;
const PATIENCE: Duration = Duration::from_secs(30);

/// The pattern of `tests/linux/pattern.ml`, of stream 0.
fn pattern(place: usize) -> u8 {
    let word = ((place >> 2) as u64 + 1).wrapping_mul(0x9e37_79b1);
    (word >> (8 * (place & 3))) as u8
}

/// What one side of a connection does each time round; `true` at the end.
trait Role {
    fn turn(&mut self, socket: &mut tcp::Socket<'_>) -> Result<bool, Box<dyn Error>>;
}

struct Client {
    total: usize,
    sent: usize,
    received: usize,
}

impl Role for Client {
    fn turn(&mut self, socket: &mut tcp::Socket<'_>) -> Result<bool, Box<dyn Error>> {
        while socket.can_send() && self.sent < self.total {
            let (start, left) = (self.sent, self.total - self.sent);
            self.sent += socket.send(|room| {
                let len = room.len().min(left);
                for (i, byte) in room[..len].iter_mut().enumerate() {
                    *byte = pattern(start + i);
                }
                (len, len)
            })?;
            if self.sent == self.total {
                socket.close();
            }
        }
        while socket.can_recv() {
            let start = self.received;
            let (len, right) = socket.recv(|data| {
                let right = data.iter().enumerate().all(|(i, byte)| *byte == pattern(start + i));
                (data.len(), (data.len(), right))
            })?;
            if !right {
                return Err(format!("a byte between {start} and {} differs", start + len).into());
            }
            self.received += len;
        }
        match socket.state() {
            // TIME-WAIT: the other side has closed as well.
            tcp::State::TimeWait if self.received == self.total => Ok(true),
            tcp::State::TimeWait | tcp::State::Closed => {
                Err(format!("the end after {} of {} bytes", self.received, self.total).into())
            }
            _ => Ok(false),
        }
    }
}

#[derive(Default)]
struct Server {
    connected: bool,
    buffer: Vec<u8>,
}

impl Role for Server {
    fn turn(&mut self, socket: &mut tcp::Socket<'_>) -> Result<bool, Box<dyn Error>> {
        self.connected |= socket.is_active();
        while self.buffer.len() < BUFFER && socket.can_recv() {
            socket.recv(|data| {
                self.buffer.extend_from_slice(data);
                (data.len(), ())
            })?;
        }
        while socket.can_send() && !self.buffer.is_empty() {
            let sent = socket.send_slice(&self.buffer)?;
            self.buffer.drain(..sent);
        }
        if self.connected && socket.state() == tcp::State::CloseWait && self.buffer.is_empty() {
            socket.close();
        }
        Ok(self.connected && socket.state() == tcp::State::Closed)
    }
}

fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let [tap, cidr, rest @ ..] = arguments else {
        return Err("usage: see the head of tests/smoltcp/src/main.rs".into());
    };
    let mut device = TunTapInterface::new(tap, Medium::Ethernet)?;
    let mut config = Config::new(EthernetAddress([2, 0, 0, 0, 0, 3]).into());
    config.random_seed = std::process::id().into();
    let mut interface = Interface::new(config, &mut device, Instant::now());
    let cidr: IpCidr = cidr.parse().map_err(|()| "not a CIDR")?;
    interface.update_ip_addrs(|addresses| addresses.push(cidr).expect("room for one address"));

    let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
    let mut socket = tcp::Socket::new(buffer(), buffer());
    let mut role: Box<dyn Role> = match rest {
        ["echo", address, port, bytes] => {
            let address: IpAddress = address.parse().map_err(|()| "not an address")?;
            let remote = (address, port.parse::<u16>()?);
            socket.connect(
                interface.context(),
                remote,
                49152 + std::process::id() as u16 % 16384,
            )?;
            Box::new(Client { total: bytes.parse()?, sent: 0, received: 0 })
        }
        ["serve", port] => {
            socket.listen(port.parse::<u16>()?)?;
            Box::new(Server::default())
        }
        _ => return Err("usage: see the head of tests/smoltcp/src/main.rs".into()),
    };
    let mut sockets = SocketSet::new(vec![]);
    let handle = sockets.add(socket);
    let (start, fd) = (Clock::now(), device.as_raw_fd());
    loop {
        interface.poll(Instant::now(), &mut device, &mut sockets);
        let over = role.turn(sockets.get_mut(handle))?;
        // What the turn has changed goes out, an acknowledgement of the last FIN too.
        interface.poll(Instant::now(), &mut device, &mut sockets);
        if over {
            println!("intact, closed in good order, {:.2} s", start.elapsed().as_secs_f64());
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            return Err(
                format!("stuck in {}", sockets.get::<tcp::Socket<'_>>(handle).state()).into()
            );
        }
        wait(fd, interface.poll_delay(Instant::now(), &sockets))?;
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}
