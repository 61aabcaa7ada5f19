//! `mirust::net`, on a stack that talks to itself.

mod flow;
mod limits;
mod owned;
mod parts;
mod traits;

use std::net::SocketAddr;

use mirust::net::{Error, Shutdown, TcpListener, TcpStream, UdpSocket, lookup_host};
use mirust::time::{Duration, timeout};

/// What goes over the wire: no two neighbouring blocks alike.
fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 31 + (i >> 8)) as u8).collect()
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{text}: no address"))
}

fn expect(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// Waits for what comes in the end.
async fn until(what: &str, done: impl Fn() -> bool) -> Result<(), String> {
    for _ in 0..10_000 {
        if done() {
            return Ok(());
        }
        mirust::time::sleep(Duration::from_millis(1)).await;
    }
    Err(format!("{what} did not come"))
}

fn text(error: Error) -> String {
    error.to_string()
}

/// A listener on `on`, a connection to it, and the accepted side.
async fn pair(on: &str) -> Result<(TcpListener, TcpStream, TcpStream), String> {
    let listener = TcpListener::bind(address(on)?).map_err(text)?;
    let at = listener.local_addr().map_err(text)?;
    // First: nobody would be accepted if this failed, and that is the error to see.
    let connected = TcpStream::connect(at).await.map_err(text)?;
    let local = connected.local_addr().map_err(text)?;
    let accepted = timeout(Duration::from_secs(60), listener.accept()).await;
    let (accepted, peer) =
        accepted.map_err(|_| format!("{local} is not accepted at {at}"))?.map_err(text)?;
    expect(connected.local_addr() == Ok(peer), "the peer's address")?;
    expect(connected.peer_addr() == Ok(at), "the address connected to")?;
    expect(accepted.local_addr() == Ok(at), "the address accepted at")?;
    Ok((listener, connected, accepted))
}

/// Sends both ways at a time, and ends both directions.
#[mirust::export]
async fn test_net_echo(on: String, size: isize) -> Result<isize, String> {
    let (_listener, client, mut server) = pair(&on).await?;
    let echo = mirust::spawn(async move {
        loop {
            let data = server.read_chunk().await?;
            if data.is_empty() {
                return server.flush().await;
            }
            server.write_all(&data).await?;
        }
    });
    let sent = pattern(size as usize);
    let (mut reader, mut writer) = client.into_split();
    let bytes = sent.clone();
    // Dropping the half at its end ends the direction.
    mirust::spawn(async move { writer.write_all(&bytes).await });
    let mut received = Vec::new();
    let mut buf = [0; 1000];
    loop {
        match reader.read(&mut buf).await.map_err(text)? {
            0 => break,
            n => received.extend_from_slice(&buf[..n]),
        }
    }
    expect(received == sent, "other bytes")?;
    echo.await.map_err(|e| e.to_string())?.map_err(text)?;
    Ok(received.len() as isize)
}

#[mirust::export]
async fn test_net_peek(on: String) -> Result<(), String> {
    let (_listener, mut client, mut server) = pair(&on).await?;
    client.write_all(b"hello").await.map_err(text)?;
    let peeked = server.peek().await.map_err(text)?;
    let read = server.read_chunk().await.map_err(text)?;
    expect(&peeked[..] == b"hello" && peeked.as_ptr() == read.as_ptr(), "the same bytes in place")?;
    // A slice lives on when the whole is gone.
    let tail = read.slice(1..5);
    drop((peeked, read));
    client.shutdown(Shutdown::Write).map_err(text)?;
    expect(server.read_chunk().await.map_err(text)?.is_empty(), "the end")?;
    expect(&tail[..] == b"ello", "a slice")?;
    let late = client.write_all(b"more").await;
    expect(late == Err(Error::Closed), "a write after the end")
}

/// A read that is given up loses nothing.
#[mirust::export]
async fn test_net_read_given_up(on: String) -> Result<(), String> {
    let (_listener, mut client, mut server) = pair(&on).await?;
    let limit = Duration::from_millis(2);
    expect(timeout(limit, server.read_chunk()).await.is_err(), "nothing to read")?;
    client.write_all(b"late").await.map_err(text)?;
    expect(&server.read_chunk().await.map_err(text)?[..] == b"late", "the bytes")
}

/// What arrives for a reader that has given up is there for the next one, piece by piece; if nobody reads it, closing
/// resets the connection.
#[mirust::export]
async fn test_net_arrived(on: String) -> Result<(), String> {
    let limit = Duration::from_millis(2);
    for read in [true, false] {
        let (_listener, mut client, mut server) = pair(&on).await?;
        expect(timeout(limit, server.read_chunk()).await.is_err(), "nothing to read")?;
        for piece in [b"one ", b"two ", b"last"] {
            client.write_all(piece).await.map_err(text)?;
            mirust::time::sleep(limit).await;
        }
        if read {
            let mut all = Vec::new();
            while all.len() < 12 {
                all.extend_from_slice(&server.read_chunk().await.map_err(text)?);
            }
            expect(all == b"one two last", "all pieces")?;
            expect(timeout(limit, server.read_chunk()).await.is_err(), "no more")?;
            client.write_all(b"more").await.map_err(text)?;
            expect(&server.read_chunk().await.map_err(text)?[..] == b"more", "it waits again")?;
        }
        drop(server);
        let end = client.read_chunk().await.map(|end| end.len());
        let right = if read { Ok(0) } else { Err(Error::Reset) };
        expect(end == right, &format!("{read}: {end:?}"))?;
    }
    Ok(())
}

/// What a reader has received, but not read, counts as unread when the connection is closed, unless it has said that it
/// reads no more.
#[mirust::export]
async fn test_net_rest(on: String) -> Result<(), String> {
    for (peek, deaf) in [(false, false), (true, false), (false, true)] {
        let (_listener, mut client, mut server) = pair(&on).await?;
        client.write_all(b"hello").await.map_err(text)?;
        if peek {
            server.peek().await.map_err(text)?;
        } else {
            server.read(&mut [0; 3]).await.map_err(text)?;
        }
        if deaf {
            server.shutdown(Shutdown::Read).map_err(text)?;
        }
        drop(server);
        let end = client.read_chunk().await.map(|end| end.len());
        let right = if deaf { Ok(0) } else { Err(Error::Reset) };
        expect(end == right, &format!("{peek} {deaf}: {end:?}"))?;
    }
    Ok(())
}

#[mirust::export]
async fn test_net_listeners(on: String) -> Result<(), String> {
    let (listener, client, server) = pair(&on).await?;
    let at = listener.local_addr().map_err(text)?;
    expect(TcpListener::bind(at).err() == Some(Error::InUse), "the port is in use")?;
    drop(listener);
    mirust::time::sleep(Duration::from_millis(1)).await;
    expect(TcpStream::connect(at).await.err() == Some(Error::Refused), "refused")?;
    expect(TcpListener::bind(at).is_ok(), "the port is free")?;
    // Neither end notices.
    drop(server);
    let (mut reader, _writer) = client.into_split();
    expect(reader.read_chunk().await.map_err(text)?.is_empty(), "the end")
}

#[mirust::export]
async fn test_net_reset(on: String) -> Result<(), String> {
    let (_listener, client, mut server) = pair(&on).await?;
    client.abort();
    let error = server.read_chunk().await.err();
    expect(error == Some(Error::Reset), &format!("{error:?}"))?;
    let kind = std::io::Error::from(Error::Reset).kind();
    expect(kind == std::io::ErrorKind::ConnectionReset, "its kind")
}

/// A listener that is dropped has its connections reset: the one that an `accept`, since given up, would
/// have had next, and those behind it.
#[mirust::export]
async fn test_net_accept_given_up(on: String) -> Result<(), String> {
    let listener = TcpListener::bind(address(&on)?).map_err(text)?;
    let at = listener.local_addr().map_err(text)?;
    let limit = Duration::from_millis(2);
    expect(timeout(limit, listener.accept()).await.is_err(), "nobody connects")?;
    let mut first = TcpStream::connect(at).await.map_err(text)?;
    let mut second = TcpStream::connect(at).await.map_err(text)?;
    mirust::time::sleep(limit).await;
    drop(listener);
    for stream in [&mut first, &mut second] {
        let error = stream.read_chunk().await.err();
        expect(error == Some(Error::Reset), &format!("{error:?}"))?;
    }
    Ok(())
}

/// Connections one after the other.
#[mirust::export]
async fn test_net_many(on: String, n: isize) -> Result<(), String> {
    for _ in 0..n {
        let (_listener, mut client, mut server) = pair(&on).await?;
        client.write_all(b"x").await.map_err(text)?;
        server.read_chunk().await.map_err(text)?;
    }
    Ok(())
}

#[mirust::export]
async fn test_net_udp(on: String) -> Result<(), String> {
    let a = UdpSocket::bind(address(&on)?).map_err(text)?;
    let b = UdpSocket::bind(address(&on)?).map_err(text)?;
    let (at_a, at_b) = (a.local_addr().map_err(text)?, b.local_addr().map_err(text)?);
    expect(UdpSocket::bind(at_a).err() == Some(Error::InUse), "the port is in use")?;
    let foreign = address("198.51.100.7:0")?;
    expect(UdpSocket::bind(foreign).err() == Some(Error::NotLocal), "another's address")?;
    expect(TcpListener::bind(foreign).err() == Some(Error::NotLocal), "another's address")?;
    a.send_to(b"hello", at_b).await.map_err(text)?;
    let mut buf = [0; 3];
    expect(b.recv_from(&mut buf).await == Ok((3, at_a)) && &buf == b"hel", "a datagram")?;
    let error = a.send_to(&[0; 70_000], at_b).await.err();
    expect(error == Some(Error::TooLong), &format!("{error:?}"))
}

#[mirust::export]
async fn test_net_names(_: ()) -> Result<(), String> {
    let found = lookup_host("fe80::1", 80).await.map_err(text)?;
    expect(found == [address("[fe80::1]:80")?], "an address is itself")?;
    let error = lookup_host("not a name", 80).await.err();
    expect(error == Some(Error::NotFound), &format!("{error:?}"))
}

/// Inside a function that OCaml called there is no network.
#[mirust::export]
fn test_net_unavailable(on: String) -> bool {
    let address = on.parse().expect("an address");
    TcpListener::bind(address).err() == Some(Error::Unavailable)
}
