//! Connections by other crates' traits.

use std::future::poll_fn;
use std::pin::Pin;

use mirust::net::embedded_nal::Network;
use mirust::net::{OwnedReadHalf, OwnedWriteHalf, TcpStream};
use mirust::time::{Duration, timeout};

use super::{address, expect, pair, pattern, text};

#[mirust::export]
async fn test_net_embedded_io(on: String) -> Result<(), String> {
    use embedded_io_async::{BufRead, Read, ReadReady, Write};

    async fn shout<S: BufRead + ReadReady>(
        mut from: S,
        mut to: impl Write,
    ) -> Result<bool, String> {
        let ready = from.read_ready().map_err(|e| format!("{e:?}"))?;
        loop {
            let bytes = from.fill_buf().await.map_err(|e| format!("{e:?}"))?;
            if bytes.is_empty() {
                return Ok(ready);
            }
            let (n, shouted) = (bytes.len(), bytes.to_ascii_uppercase());
            from.consume(n);
            to.write_all(&shouted).await.map_err(|e| format!("{e:?}"))?;
        }
    }

    let (_listener, mut client, server) = pair(&on).await?;
    let (reader, writer) = server.into_split();
    let shouting = mirust::spawn(shout::<OwnedReadHalf>(reader, writer));
    Write::write_all(&mut client, b"hello").await.map_err(text)?;
    let mut buf = [0; 5];
    Read::read_exact(&mut client, &mut buf).await.map_err(|e| format!("{e:?}"))?;
    expect(&buf == b"HELLO", "an answer")?;
    expect(client.read_ready() == Ok(false), "nothing more")?;
    client.finish().map_err(text)?;
    let ready = shouting.await.map_err(|e| e.to_string())??;
    expect(!ready, "nothing was there at first")?;
    expect(Read::read(&mut client, &mut buf).await == Ok(0), "the end")?;
    expect(client.read_ready() == Ok(true), "the end does not wait")
}

#[mirust::export]
async fn test_net_embedded_nal(on: String) -> Result<(), String> {
    use embedded_io_async::{Read, Write};
    use embedded_nal_async::{AddrType, ConnectedUdp, Dns, TcpConnect, UdpStack, UnconnectedUdp};

    async fn ask<N: TcpConnect>(network: &N, at: std::net::SocketAddr) -> Result<[u8; 2], String> {
        let mut stream = network.connect(at).await.map_err(|e| format!("{e:?}"))?;
        stream.write_all(b"?").await.map_err(|e| format!("{e:?}"))?;
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).await.map_err(|e| format!("{e:?}"))?;
        Ok(answer)
    }

    let listener = mirust::net::TcpListener::bind(address(&on)?).map_err(text)?;
    let at = listener.local_addr().map_err(text)?;
    let serving = mirust::spawn(async move {
        let (mut server, _) = listener.accept().await?;
        server.read_chunk().await?;
        server.write_all(b"42").await
    });
    expect(ask(&Network, at).await? == *b"42", "the answer")?;
    serving.await.map_err(|e| e.to_string())?.map_err(text)?;

    let found = Network.get_host_by_name("10.0.0.9", AddrType::IPv4).await;
    expect(found == Ok([10, 0, 0, 9].into()), "an address")?;
    let none = Network.get_host_by_name("10.0.0.9", AddrType::IPv6).await;
    expect(none.is_err(), "of the other family")?;

    let (at, mut bound) = Network.bind_single(address(&on)?).await.map_err(text)?;
    let (from, mut connected) = Network.connect_from(address(&on)?, at).await.map_err(text)?;
    ConnectedUdp::send(&mut connected, b"datagram").await.map_err(text)?;
    let mut buf = [0; 4];
    let received = UnconnectedUdp::receive_into(&mut bound, &mut buf).await;
    expect(received == Ok((8, at, from)) && &buf == b"data", "cut, and its whole length")?;
    UnconnectedUdp::send(&mut bound, at, from, b"ok").await.map_err(text)?;
    let received = ConnectedUdp::receive_into(&mut connected, &mut buf).await;
    expect(received == Ok(2) && &buf[..2] == b"ok", "the answer")
}

#[mirust::export]
async fn test_net_futures_io(on: String) -> Result<(), String> {
    use futures_core::Stream;
    use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};

    let listener = mirust::net::TcpListener::bind(address(&on)?).map_err(text)?;
    let connecting = mirust::spawn(TcpStream::connect(listener.local_addr().map_err(text)?));
    let mut incoming = listener.incoming();
    let server = poll_fn(|cx| Pin::new(&mut incoming).poll_next(cx)).await;
    let mut server = server.ok_or("the end of a listener")?.map_err(text)?;
    let mut client = connecting.await.map_err(|e| e.to_string())?.map_err(text)?;

    let io = |e: std::io::Error| e.to_string();
    let written = poll_fn(|cx| AsyncWrite::poll_write(Pin::new(&mut client), cx, b"abc"));
    expect(written.await.map_err(io)? == 3, "three bytes")?;
    poll_fn(|cx| AsyncWrite::poll_close(Pin::new(&mut client), cx)).await.map_err(io)?;
    let mut buf = [0; 2];
    let n = poll_fn(|cx| AsyncRead::poll_read(Pin::new(&mut server), cx, &mut buf));
    expect(n.await.map_err(io)? == 2 && &buf == b"ab", "two of them")?;
    let mut server = Pin::new(&mut server);
    let filled = poll_fn(|cx| server.as_mut().poll_fill_buf(cx).map_ok(<[u8]>::to_vec));
    expect(filled.await.map_err(io)? == b"c", "the third")?;
    server.as_mut().consume(1);
    let filled = poll_fn(|cx| server.as_mut().poll_fill_buf(cx).map_ok(<[u8]>::to_vec));
    expect(filled.await.map_err(io)?.is_empty(), "the end")
}

#[mirust::export]
async fn test_net_tokio(on: String) -> Result<(), String> {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream, copy_bidirectional};

    let io = |e: std::io::Error| e.to_string();
    // A proxy between two connections, made of tokio's own.
    let (_listener, mut client, mut front) = pair(&on).await?;
    let (_other_listener, mut back, server) = pair(&on).await?;
    let proxy = mirust::spawn(async move { copy_bidirectional(&mut front, &mut back).await });
    let (mut reader, mut writer): (OwnedReadHalf, OwnedWriteHalf) = server.into_split();
    let echo = mirust::spawn(async move { tokio::io::copy_buf(&mut reader, &mut writer).await });
    let sent = pattern(200_000);
    let bytes = sent.clone();
    AsyncWriteExt::write_all(&mut client, b"first line\n").await.map_err(io)?;
    let mut client = BufStream::new(client);
    let mut line = String::new();
    client.read_line(&mut line).await.map_err(io)?;
    expect(line == "first line\n", &line)?;
    let (mut reader, mut writer) = client.into_inner().into_split();
    let writing = mirust::spawn(async move {
        AsyncWriteExt::write_all(&mut writer, &bytes).await?;
        writer.shutdown().await
    });
    let mut received = Vec::new();
    reader.read_to_end(&mut received).await.map_err(io)?;
    expect(received == sent, "other bytes")?;
    writing.await.map_err(|e| e.to_string())?.map_err(io)?;
    let there = sent.len() as u64 + 11;
    let echoed = echo.await.map_err(|e| e.to_string())?.map_err(io)?;
    expect(echoed == there, &format!("{echoed} came back"))?;
    let carried = proxy.await.map_err(|e| e.to_string())?.map_err(io)?;
    expect(carried == (there, there), &format!("{carried:?}"))
}

/// Requests and their answers, keep-alive, by hyper on both sides; what was copied for them; and the
/// server's patience with a client that asks no more.
#[mirust::export]
async fn test_net_hyper(on: String) -> Result<(), String> {
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper::{Request, Response};

    async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await?.to_bytes();
        Ok(Response::new(Full::new(format!("{path} {}", body.len()).into())))
    }

    let http = |e: hyper::Error| e.to_string();
    let (_listener, client, server) = pair(&on).await?;
    let (copied, counted) = (mirust::net::copied(), mirust::net::stats().map_err(text)?.tcp);
    let served = mirust::spawn(async move {
        hyper::server::conn::http1::Builder::new()
            .timer(mirust::net::hyper::Timer)
            .header_read_timeout(Duration::from_secs(1))
            .serve_connection(server, service_fn(answer))
            .await
    });
    let (mut requests, connection) =
        hyper::client::conn::http1::handshake(client).await.map_err(http)?;
    mirust::spawn(connection);
    for size in [0, 3, 100_000] {
        let body = Full::new(Bytes::from(pattern(size)));
        let request = Request::put("/path").body(body).map_err(|e| e.to_string())?;
        let response = requests.send_request(request).await.map_err(http)?;
        let body = response.into_body().collect().await.map_err(http)?.to_bytes();
        expect(body == format!("/path {size}"), &format!("{body:?}"))?;
    }
    let (copies, counts) = (mirust::net::copied(), mirust::net::stats().map_err(text)?.tcp);
    let sent = counts.octets_out - counted.octets_out;
    expect(copies.sent - copied.sent <= sent, "more copied than sent")?;
    let received = counts.octets_in - counted.octets_in;
    expect(copies.received - copied.received <= received, "more copied than received")?;
    match timeout(Duration::from_secs(60), served).await {
        Ok(Ok(Err(error))) => expect(error.is_timeout(), &error.to_string()),
        ended => Err(format!("the server waits, or is content: {ended:?}")),
    }
}
