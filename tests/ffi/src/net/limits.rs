//! What is bounded, and what happens there.

use mirust::net::{Error, TcpListener, TcpStream, stats};
use mirust::ocaml::Promise;
use mirust::time::{Duration, sleep, timeout};

use super::{address, expect, pair, pattern, text, until};

/// Written again and again.
static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// A reader that does not read holds little, however much there is to write.
#[mirust::export]
async fn test_net_slow_reader(on: String, owned: bool) -> Result<(), String> {
    let (_listener, mut client, mut server) = pair(&on).await?;
    let before = stats().map_err(text)?.now.memory;
    let writing = mirust::spawn(async move {
        let mut written = 0;
        for _ in 0..64 {
            if owned {
                client.write_owned(&ZEROS[..]).await?;
            } else {
                client.write_all(&ZEROS).await?;
            }
            written += ZEROS.len();
        }
        Ok::<_, Error>(written)
    });
    sleep(Duration::from_millis(50)).await;
    let held = stats().map_err(text)?.now.memory - before;
    expect(!writing.is_finished(), "64 MiB are taken")?;
    expect(held > 0 && held <= 16 << 20, &format!("{held} bytes are held"))?;
    let mut read = 0;
    while read < 64 * ZEROS.len() {
        read += server.read_chunk().await.map_err(text)?.len();
    }
    expect(writing.await.map_err(|e| e.to_string())? == Ok(read), "as much as was read")?;
    drop(server);
    until("memory to be given back", || stats().is_ok_and(|s| s.now.memory <= before)).await
}

/// Owners come and go, and only OCaml's own collections find out: how many bytes they had together at a
/// time, at most.
#[mirust::export]
async fn test_net_owned_stream(on: String, count: isize) -> Result<isize, String> {
    let (_listener, mut client, mut server) = pair(&on).await?;
    let reading = mirust::spawn(async move {
        while !server.read_chunk().await?.is_empty() {}
        Ok::<(), Error>(())
    });
    let mut most = 0;
    for _ in 0..count {
        client.write_owned(vec![7; 64 * 1024]).await.map_err(text)?;
        most = most.max(mirust::ocaml::bytes_lent().1);
    }
    drop(client);
    reading.await.map_err(|e| e.to_string())?.map_err(text)?;
    Ok(most as isize)
}

/// All connections together hold as much as they may: another one is an error, and those that are
/// there go on.
#[mirust::export]
async fn test_net_out_of_memory(on: String) -> Result<(), String> {
    let listener = TcpListener::bind(address(&on)?).map_err(text)?;
    let at = listener.local_addr().map_err(text)?;
    let mut pairs = Vec::new();
    let refused = loop {
        let mut client = match TcpStream::connect(at).await {
            Ok(client) => client,
            Err(error) => break error,
        };
        let (server, _) = listener.accept().await.map_err(text)?;
        let full = async {
            loop {
                client.write_owned(&ZEROS[..]).await?;
            }
            #[allow(unreachable_code)]
            Ok::<(), Error>(())
        };
        expect(timeout(Duration::from_millis(2), full).await.is_err(), "a write fails")?;
        pairs.push((client, server));
        expect(pairs.len() < 1000, "a thousand connections that hold memory")?;
    };
    expect(refused == Error::NoResources, &format!("{refused:?}"))?;
    let kind = std::io::Error::from(refused).kind();
    expect(kind == std::io::ErrorKind::OutOfMemory, "its kind")?;
    let mut readers = Vec::new();
    for (client, mut server) in pairs {
        drop(client);
        readers.push(mirust::spawn(async move {
            while !server.read_chunk().await?.is_empty() {}
            Ok::<(), Error>(())
        }));
    }
    for reader in readers {
        reader.await.map_err(|e| e.to_string())?.map_err(text)?;
    }
    expect(TcpStream::connect(at).await.is_ok(), "there is memory again")
}

/// Memory runs out where a piece has just been taken out of the connection, which OCaml sees to: the reader gets an
/// error, and nothing from behind the hole, nor does the writer go on. How many bytes came before it.
#[mirust::export]
async fn test_net_lost_piece(on: String) -> Result<isize, String> {
    let (_listener, mut client, mut server) = pair(&on).await?;
    let all = pattern(200_000);
    let sent = all.clone();
    let writing = mirust::spawn(async move {
        for piece in sent.chunks(1000) {
            if client.write_all(piece).await.is_err() {
                return true;
            }
            // The reader is to wait for each.
            sleep(Duration::from_micros(100)).await;
        }
        false
    });
    let (mut read, mut errors) = (Vec::new(), 0);
    while errors < 3 {
        match server.read_chunk().await {
            Ok(piece) if piece.is_empty() => break,
            Ok(piece) => {
                expect(errors == 0, "bytes come after an error")?;
                read.extend_from_slice(&piece);
            }
            Err(_) => errors += 1,
        }
    }
    expect(errors > 0, "memory ran out, and there was no error")?;
    expect(read == all[..read.len()], "what came before is not what was sent")?;
    expect(writing.await.map_err(|e| e.to_string())?, "the writer was not reset")?;
    Ok(read.len() as isize)
}

/// Twenty readers that wait, and give up; each says so to its peer. When the promise resolves, each reads what has
/// arrived meanwhile: as many bytes as the result says, all together.
#[mirust::export]
async fn test_net_told(at: String, until: Promise<()>) -> Result<isize, String> {
    let listener = TcpListener::bind(address(&at)?).map_err(text)?;
    let mut servers = Vec::new();
    for _ in 0..20 {
        let (mut server, _) = listener.accept().await.map_err(text)?;
        let early = timeout(Duration::from_millis(1), server.read_chunk()).await.is_ok();
        expect(!early, "nothing to read")?;
        server.write_all(b"!").await.map_err(text)?;
        servers.push(server);
    }
    until.to_rust::<()>().await.map_err(|_| "the promise fails")?;
    let mut read = 0;
    for server in &mut servers {
        read += server.read_chunk().await.map_err(text)?.len();
    }
    Ok(read as isize)
}

/// `n` crossings in either direction, by copies and as they are.
#[mirust::export]
async fn test_net_crossings(on: String, n: isize) -> Result<(), String> {
    let (_listener, mut client, mut server) = pair(&on).await?;
    let mut buf = [0; 64];
    let mut left = n;
    while left > 0 {
        client.write_all(b"ping").await.map_err(text)?;
        let ping = server.read_chunk().await.map_err(text)?;
        server.write_chunk(ping).await.map_err(text)?;
        let read = client.read(&mut buf).await.map_err(text)?;
        expect(&buf[..read] == b"ping", "other bytes")?;
        client.write_owned(b"pong".to_vec()).await.map_err(text)?;
        let read = server.read(&mut buf).await.map_err(text)?;
        expect(&buf[..read] == b"pong", "other bytes")?;
        left -= 6;
    }
    Ok(())
}

/// OCaml takes no more of Rust's values than it has to.
#[mirust::export]
async fn test_net_nothing_lent(_: ()) -> Result<(), String> {
    until("owners to be dropped", || mirust::ocaml::bytes_lent() == (0, 0)).await
}
