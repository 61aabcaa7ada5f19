//! `std::net` over the image's own addresses. With one thread: a connection is open as soon as the
//! stack has accepted it, before the program has.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use super::Outcome;

pub(crate) fn run() -> Outcome {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        tcp(address)?;
        udp(address)?;
        nobody_there(address)?;
    }
    errors()?;
    names()
}

fn tcp(address: &str) -> Outcome {
    let listener = TcpListener::bind(address)?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, peer) = listener.accept()?;
    assert_eq!(peer, client.local_addr()?);
    assert_eq!(client.peer_addr()?, listener.local_addr()?);
    client.set_nodelay(true)?;
    assert!(client.nodelay()?);
    client.write_all(b"hello")?;
    let mut buf = [0; 5];
    assert_eq!((server.peek(&mut buf[..2])?, &buf[..2]), (2, &b"he"[..]));
    server.read_exact(&mut buf)?;
    assert_eq!(&buf, b"hello");

    server.set_read_timeout(Some(Duration::from_millis(20)))?;
    let start = Instant::now();
    let error = server.read(&mut buf).expect_err("nothing was sent");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert!(start.elapsed() >= Duration::from_millis(20));
    server.set_nonblocking(true)?;
    assert_eq!(server.read(&mut buf).map_err(|e| e.kind()), Err(ErrorKind::WouldBlock));
    server.set_nonblocking(false)?;
    server.set_read_timeout(None)?;

    // More than the stack holds: both sides in turn.
    let data: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
    let (mut sent, mut received) = (0, Vec::new());
    client.set_nonblocking(true)?;
    while received.len() < data.len() {
        match client.write(&data[sent..]) {
            Ok(n) => sent += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        let mut chunk = [0; 65536];
        let n = server.read(&mut chunk)?;
        received.extend_from_slice(&chunk[..n]);
    }
    assert!(received == data);
    client.shutdown(Shutdown::Write)?;
    assert_eq!(server.read(&mut buf)?, 0);
    server.write_all(b"bye")?;
    drop(server);
    client.set_nonblocking(false)?;
    let mut rest = String::new();
    client.read_to_string(&mut rest)?;
    assert_eq!(rest, "bye");
    Ok(())
}

fn udp(address: &str) -> Outcome {
    let (a, b) = (UdpSocket::bind(address)?, UdpSocket::bind(address)?);
    assert_eq!(a.send_to(b"one", b.local_addr()?)?, 3);
    let mut buf = [0; 16];
    let (n, from) = b.recv_from(&mut buf)?;
    assert_eq!((&buf[..n], from), (&b"one"[..], a.local_addr()?));
    b.connect(a.local_addr()?)?;
    assert_eq!(b.send(b"two")?, 3);
    assert_eq!((a.recv(&mut buf)?, &buf[..3]), (3, &b"two"[..]));
    a.set_read_timeout(Some(Duration::from_millis(5)))?;
    assert_eq!(a.recv(&mut buf).map_err(|e| e.kind()), Err(ErrorKind::WouldBlock));
    Ok(())
}

/// A datagram to a closed port: a connected socket reports it, once, by the next call.
fn nobody_there(address: &str) -> Outcome {
    let closed = UdpSocket::bind(address)?.local_addr()?;
    let socket = UdpSocket::bind(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut buf = [0; 16];
    // Without a peer nothing comes back.
    socket.send_to(b"x", closed)?;
    socket.set_nonblocking(true)?;
    std::thread::yield_now();
    assert_eq!(socket.recv(&mut buf).map_err(|e| e.kind()), Err(ErrorKind::WouldBlock));
    socket.set_nonblocking(false)?;

    socket.connect(closed)?;
    socket.send(b"x")?;
    assert_eq!(socket.recv(&mut buf).map_err(|e| e.kind()), Err(ErrorKind::ConnectionRefused));
    // To a program that never receives, the next datagram tells. It is refused itself, and was not sent.
    let start = Instant::now();
    while let Ok(n) = socket.send(b"y") {
        assert_eq!(n, 1);
        assert!(start.elapsed() < Duration::from_secs(10), "no datagram was refused");
        std::thread::yield_now();
    }
    socket.send(b"x")?;
    let refused = loop {
        match socket.take_error()? {
            Some(error) => break error.kind(),
            None => assert!(start.elapsed() < Duration::from_secs(10), "there is no error"),
        }
        std::thread::yield_now();
    };
    assert_eq!(refused, ErrorKind::ConnectionRefused);
    // The socket goes on.
    let open = UdpSocket::bind(address)?;
    socket.connect(open.local_addr()?)?;
    assert_eq!(socket.send(b"three")?, 5);
    assert_eq!(open.recv(&mut buf)?, 5);
    open.send_to(b"four", socket.local_addr()?)?;
    assert_eq!(socket.recv(&mut buf)?, 4);
    Ok(())
}

fn errors() -> Outcome {
    // Addresses of others, here those for documentation.
    for foreign in ["192.0.2.77:0", "[2001:db8::77]:0"] {
        let tcp = TcpListener::bind(foreign).map(drop);
        assert_eq!(tcp.map_err(|e| e.kind()), Err(ErrorKind::AddrNotAvailable));
        let udp = UdpSocket::bind(foreign).map(drop);
        assert_eq!(udp.map_err(|e| e.kind()), Err(ErrorKind::AddrNotAvailable));
    }
    // Our own, anywhere on the loopback network, and a group.
    for own in ["10.0.0.2:0", "127.9.9.9:0", "224.0.0.251:0", "0.0.0.0:0", "[::]:0"] {
        UdpSocket::bind(own)?;
        TcpListener::bind(own)?;
    }
    let listener = TcpListener::bind("127.0.0.1:7000")?;
    let again = TcpListener::bind("127.0.0.1:7000").map(drop);
    assert_eq!(again.map_err(|e| e.kind()), Err(ErrorKind::AddrInUse));
    drop(listener);
    let refused = TcpStream::connect("127.0.0.1:7001").map(drop);
    assert_eq!(refused.map_err(|e| e.kind()), Err(ErrorKind::ConnectionRefused));
    let limit = Duration::from_millis(200);
    let silent = TcpStream::connect_timeout(&"10.0.0.77:1".parse()?, limit).map(drop);
    assert!(silent.is_err());
    Ok(())
}

fn names() -> Outcome {
    let found: Vec<_> = ("localhost", 80).to_socket_addrs()?.collect();
    assert_eq!(found, ["127.0.0.1:80".parse()?, "[::1]:80".parse()?]);
    assert!("no such name.example:1".to_socket_addrs().is_err());
    Ok(())
}
