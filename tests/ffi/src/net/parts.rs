//! Halves, vectored writes, datagrams, figures.

use std::future::poll_fn;
use std::io::IoSlice;
use std::rc::Rc;

use mirust::net::{Error, TcpListener, TcpState, TcpStream, UdpSocket, stats};
use mirust::time::{Duration, sleep, timeout};

use super::{address, expect, pair, text, until};

#[mirust::export]
async fn test_net_halves(on: String) -> Result<(), String> {
    let (_listener, client, mut server) = pair(&on).await?;
    let (_other_listener, other, _other_server) = pair(&on).await?;
    let ((reader, writer), (_, other_writer)) = (client.into_split(), other.into_split());
    expect(reader.peer_addr() == writer.peer_addr(), "one peer")?;
    let error = reader.reunite(other_writer).expect_err("halves of two connections");
    let mut client = error.0.reunite(writer).map_err(|e| e.to_string())?;
    // It is whole, so that neither half has ended anything.
    client.write_all(b"whole").await.map_err(text)?;
    expect(&server.read_chunk().await.map_err(text)?[..] == b"whole", "the bytes")?;
    // Both halves wait at a time, in one task.
    let (mut reader, mut writer) = client.split();
    let mut read = std::pin::pin!(reader.read_chunk());
    let write = async {
        sleep(Duration::from_millis(1)).await;
        writer.write_all(b"ping").await
    };
    let answer = mirust::spawn(async move {
        let ping = server.read_chunk().await?;
        server.write_chunk(ping).await
    });
    let mut write = std::pin::pin!(write);
    let mut written = false;
    let chunk = poll_fn(|cx| {
        if !written {
            written = write.as_mut().poll(cx).is_ready();
        }
        read.as_mut().poll(cx)
    });
    expect(&chunk.await.map_err(text)?[..] == b"ping", "what came back")?;
    answer.await.map_err(|e| e.to_string())?.map_err(text)
}

/// All slices leave in one segment.
#[mirust::export]
async fn test_net_vectored(on: String) -> Result<(), String> {
    let (_listener, mut client, mut server) = pair(&on).await?;
    let copied = mirust::net::copied();
    let before = client.info().map_err(text)?.segments_out;
    let parts = [IoSlice::new(b"head"), IoSlice::new(b""), IoSlice::new(b" and body")];
    expect(client.write_vectored(&parts).await == Ok(13), "all of it")?;
    expect(&server.read_chunk().await.map_err(text)?[..] == b"head and body", "the bytes")?;
    let segments = client.info().map_err(text)?.segments_out - before;
    expect(segments == 1, &format!("{segments} segments"))?;
    let now = mirust::net::copied();
    expect((now.sent - copied.sent, now.received - copied.received) == (13, 0), "copies")?;
    let big = vec![7; 100_000];
    let n = client.write_vectored(&[IoSlice::new(&big), IoSlice::new(&big)]).await;
    expect(n == Ok(65536), &format!("{n:?} at a time"))
}

/// Two tasks wait for one listener: each gets a connection.
#[mirust::export]
async fn test_net_two_accept(on: String) -> Result<(), String> {
    let listener = Rc::new(TcpListener::bind_with(address(&on)?, 16).map_err(text)?);
    let at = listener.local_addr().map_err(text)?;
    let tasks = [0, 1].map(|_| {
        let listener = Rc::clone(&listener);
        mirust::spawn(async move { listener.incoming().next().await })
    });
    sleep(Duration::from_millis(1)).await;
    let _clients = [TcpStream::connect(at).await, TcpStream::connect(at).await];
    for task in tasks {
        task.await.map_err(|e| e.to_string())?.map_err(text)?;
    }
    Ok(())
}

#[mirust::export]
async fn test_net_figures(on: String) -> Result<(), String> {
    let before = stats().map_err(text)?;
    let (_listener, mut client, mut server) = pair(&on).await?;
    client.write_all(&[1; 5000]).await.map_err(text)?;
    let mut buf = [0; 5000];
    let mut read = 0;
    while read < 5000 {
        read += server.read(&mut buf).await.map_err(text)?;
    }
    until("the acknowledgement", || client.info().is_ok_and(|i| i.octets_acked == 5000)).await?;
    let (client, server) = (client.info().map_err(text)?, server.info().map_err(text)?);
    expect(client.state == TcpState::Established, &format!("{client:?}"))?;
    let sent = (client.octets_sent, client.octets_acked, client.unsent, client.retransmits);
    expect(sent == (5000, 5000, 0, 0), &format!("{client:?}"))?;
    expect(client.timestamps && client.selective_acks, &format!("{client:?}"))?;
    expect(client.rtt > Duration::ZERO && client.rto >= client.rtt, &format!("{client:?}"))?;
    expect(client.min_rtt.is_some() && client.ssthresh.is_none(), &format!("{client:?}"))?;
    expect(client.mss > 500 && client.cwnd >= client.mss, &format!("{client:?}"))?;
    expect(server.octets_received == 5000 && server.unread == 0, &format!("{server:?}"))?;
    expect(server.segments_in == client.segments_out, &format!("{client:?} {server:?}"))?;
    let after = stats().map_err(text)?;
    let opens = after.tcp.passive_opens - before.tcp.passive_opens;
    expect(opens == 1 && after.now.connections >= 2, &format!("{after:?}"))?;
    let listed = after.tcp.iter().find(|(name, _)| *name == "octets_in");
    expect(listed == Some(("octets_in", after.tcp.octets_in)), "a figure by its name")
}

#[mirust::export]
async fn test_net_udp_connected(on: String) -> Result<(), String> {
    let bind = || UdpSocket::bind(address(&on)?).map_err(text);
    let (a, b, stranger) = (bind()?, bind()?, bind()?);
    let (at_a, at_b) = (a.local_addr().map_err(text)?, b.local_addr().map_err(text)?);
    let mut buf = [0; 16];
    expect(a.send(b"x").await == Err(Error::NotConnected), "no peer to send to")?;
    expect(a.recv(&mut buf).await == Err(Error::NotConnected), "no peer to receive from")?;
    a.connect(at_b);
    expect(a.peer_addr() == Some(at_b), "the peer")?;
    stranger.send_to(b"stranger", at_a).await.map_err(text)?;
    b.set_ttl(3).map_err(text)?;
    b.send_owned_to(b"owned".to_vec(), at_a).await.map_err(text)?;
    let (peeked, source) = a.peek().await.map_err(text)?;
    expect(&peeked[..] == b"owned" && source == at_b, "the peer's, before the stranger's")?;
    expect(a.recv(&mut buf).await == Ok(5) && &buf[..5] == b"owned", "what was peeked")?;
    a.send(b"back").await.map_err(text)?;
    let (chunk, source) = b.recv_chunk().await.map_err(text)?;
    expect(&chunk[..] == b"back" && source == at_a, "the answer")?;
    // As it is, to where it came from.
    b.send_chunk_to(&chunk, at_a).await.map_err(text)?;
    expect(a.recv(&mut buf).await == Ok(4) && &buf[..4] == b"back", "once more")?;
    expect(timeout(Duration::from_millis(2), a.recv(&mut buf)).await.is_err(), "nothing else")?;
    // A peer whose port nobody has: its host's answer is reported once, and to no other socket.
    let nowhere = stranger.local_addr().map_err(text)?;
    drop(stranger);
    sleep(Duration::from_millis(1)).await;
    b.send_to(b"x", nowhere).await.map_err(text)?;
    a.connect(nowhere);
    a.send(b"x").await.map_err(text)?;
    expect(a.recv(&mut buf).await == Err(Error::Refused), "nobody has the peer's port")?;
    expect(timeout(Duration::from_millis(2), a.recv(&mut buf)).await.is_err(), "said once")?;
    expect(
        timeout(Duration::from_millis(2), b.recv_chunk()).await.is_err(),
        "to whom it concerns",
    )?;
    a.disconnect();
    expect(a.peer_addr().is_none(), "no peer any more")?;
    b.send_to(b"again", at_a).await.map_err(text)?;
    expect(a.recv_from(&mut buf).await == Ok((5, at_b)), "and all may send")?;
    expect(stats().map_err(text)?.udp.sent >= 4, "counted")
}
