//! What is opened and closed leaves no descriptor behind, and no memory.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use mio::{Interest, Poll, Token};

use super::Outcome;

pub(crate) fn run() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    // The stack's own tables reach their size in the first rounds.
    (0..50).try_for_each(|_| round(&listener, address))?;
    let before = figures()?;
    (0..200).try_for_each(|_| round(&listener, address))?;
    let after = figures()?;
    assert_eq!(before.0, after.0, "descriptors");
    let grown = after.1.saturating_sub(before.1);
    // What closes is closed by the loop, and the last ones are still closing.
    assert!(grown < 64 << 10, "{grown} bytes of the heap are gone after 200 rounds");
    Ok(())
}

fn round(listener: &TcpListener, address: std::net::SocketAddr) -> Outcome {
    let mut poll = Poll::new()?;
    let mut events = mio::Events::with_capacity(4);
    let mut client = TcpStream::connect(address)?;
    let (server, _) = listener.accept()?;
    client.write_all(b"x")?;
    server.set_nonblocking(true)?;
    let mut server = mio::net::TcpStream::from_std(server);
    poll.registry().register(&mut server, Token(0), Interest::READABLE)?;
    poll.poll(&mut events, None)?;
    assert_eq!(server.read(&mut [0; 8])?, 1);
    let (mut a, mut b) = UnixStream::pair()?;
    a.write_all(b"y")?;
    b.read_exact(&mut [0])?;
    UdpSocket::bind("127.0.0.1:0")?;
    std::fs::read("/data/hello.txt")?;
    // A reset, so that nothing is left in TIME-WAIT.
    client.set_nonblocking(true)?;
    Ok(())
}

/// The lowest number that is free, and the bytes of the heap that are in use.
fn figures() -> Result<(i32, usize), std::io::Error> {
    let lowest = std::fs::File::open("/dev/null")?.as_raw_fd();
    Ok((lowest, mirust_mem::heap::Heap.stats().unwrap_or_default().in_use))
}
