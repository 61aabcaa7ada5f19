//! Bytes that Rust owns and OCaml sends as they are: when their owner is dropped.

use std::cell::Cell;
use std::rc::Rc;

use mirust::net::{Error, TcpStream};
use mirust::ocaml::{BoxRoot, Buffer, OCamlCstruct, OCamlRuntime, bytes_lent};
use mirust::time::{Duration, sleep, timeout};

use super::{expect, pair, pattern, text, until};

/// Counts how often it was dropped.
struct Owner {
    bytes: Vec<u8>,
    drops: Rc<Cell<usize>>,
    panics: bool,
}

impl Owner {
    fn new(size: usize) -> (Owner, Rc<Cell<usize>>) {
        let drops = Rc::new(Cell::new(0));
        (Owner { bytes: pattern(size), drops: Rc::clone(&drops), panics: false }, drops)
    }
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.drops.set(self.drops.get() + 1);
        assert!(!self.panics, "an owner that panics");
    }
}

/// The owner is dropped once, and stays so. OCaml collects all the time.
async fn dropped_once(drops: &Cell<usize>) -> Result<(), String> {
    until("the owner's drop", || drops.get() > 0).await?;
    sleep(Duration::from_millis(5)).await;
    expect(drops.get() == 1, &format!("{} drops", drops.get()))
}

async fn read_all(stream: &mut TcpStream, size: usize) -> Result<Vec<u8>, String> {
    let mut received = Vec::new();
    while received.len() < size {
        let chunk = stream.read_chunk().await.map_err(text)?;
        expect(!chunk.is_empty(), "more bytes")?;
        received.extend_from_slice(&chunk);
    }
    Ok(received)
}

/// Not before all of it is acknowledged, and without a copy on our side.
#[mirust::export]
async fn test_net_owned_acknowledged(on: String) -> Result<(), String> {
    let (_listener, mut client, mut server) = pair(&on).await?;
    let copied = mirust::net::copied();
    let size = 20_000_000;
    let (owner, drops) = Owner::new(size);
    let writing = mirust::spawn(async move {
        client.write_owned(owner).await?;
        Ok::<_, Error>(client)
    });
    let mut received = read_all(&mut server, 100_000).await?;
    expect(drops.get() == 0 && bytes_lent().1 >= size, "dropped before all is sent")?;
    received.extend(read_all(&mut server, size - received.len()).await?);
    expect(received == pattern(size), "other bytes")?;
    let client = writing.await.map_err(|e| e.to_string())?.map_err(text)?;
    dropped_once(&drops).await?;
    let acked = client.info().map_err(text)?.octets_acked;
    expect(acked == size as u64, "all is acknowledged")?;
    expect(mirust::net::copied() == copied, "a copy")
}

/// The peer resets the connection when some of the bytes are sent and others are not.
#[mirust::export]
async fn test_net_owned_reset(on: String) -> Result<(), String> {
    let (_listener, mut client, server) = pair(&on).await?;
    let (owner, drops) = Owner::new(20_000_000);
    let writing = mirust::spawn(async move { client.write_owned(owner).await });
    sleep(Duration::from_millis(5)).await;
    expect(!writing.is_finished(), "so much is taken at once")?;
    server.abort();
    let end = writing.await.map_err(|e| e.to_string())?;
    expect(end == Err(Error::Reset), &format!("{end:?}"))?;
    dropped_once(&drops).await
}

/// We reset it.
#[mirust::export]
async fn test_net_owned_aborted(on: String) -> Result<(), String> {
    let (_listener, mut client, _server) = pair(&on).await?;
    let (owner, drops) = Owner::new(100_000);
    client.write_owned(owner).await.map_err(text)?;
    client.abort();
    dropped_once(&drops).await
}

/// The stream is dropped, and what it wrote is sent all the same.
#[mirust::export]
async fn test_net_owned_unsent(on: String) -> Result<(), String> {
    let (_listener, mut client, mut server) = pair(&on).await?;
    let (owner, drops) = Owner::new(100_000);
    client.write_owned(owner).await.map_err(text)?;
    drop(client);
    expect(read_all(&mut server, 100_000).await? == pattern(100_000), "other bytes")?;
    expect(server.read_chunk().await.map_err(text)?.is_empty(), "the end")?;
    dropped_once(&drops).await
}

/// Nobody waits for the end of the write any more: the rest of it is not written.
#[mirust::export]
async fn test_net_owned_given_up(on: String) -> Result<(), String> {
    let (_listener, mut client, mut server) = pair(&on).await?;
    let (owner, drops) = Owner::new(20_000_000);
    let limit = Duration::from_millis(5);
    expect(timeout(limit, client.write_owned(owner)).await.is_err(), "all is taken")?;
    drop(client);
    let mut length = 0;
    let whole = pattern(20_000_000);
    loop {
        let chunk = server.read_chunk().await.map_err(text)?;
        if chunk.is_empty() {
            break;
        }
        expect(whole[length..].starts_with(&chunk), "other bytes")?;
        length += chunk.len();
    }
    expect(length > 0 && length < 20_000_000, &format!("{length} bytes"))?;
    dropped_once(&drops).await
}

/// The stack is disconnected, by OCaml, in the middle of it.
#[mirust::export]
async fn test_net_owned_disconnected(on: String) -> Result<(), String> {
    let (_listener, mut client, _server) = pair(&on).await?;
    let (owner, drops) = Owner::new(20_000_000);
    let end = client.write_owned(owner).await;
    expect(matches!(end, Err(Error::Aborted | Error::Reset)), &format!("{end:?}"))?;
    drop(client);
    dropped_once(&drops).await
}

/// An owner that panics when it is dropped loses nobody but itself.
#[mirust::export]
async fn test_net_owned_panics(on: String) -> Result<(), String> {
    let (_listener, mut client, mut server) = pair(&on).await?;
    let mut all = Vec::new();
    for i in 0..10 {
        let (mut owner, drops) = Owner::new(10_000);
        owner.panics = i % 2 == 0;
        client.write_owned(owner).await.map_err(text)?;
        all.push(drops);
    }
    read_all(&mut server, 100_000).await?;
    for drops in &all {
        dropped_once(drops).await?;
    }
    Ok(())
}

thread_local! {
    static LENT: Cell<Option<Rc<Cell<usize>>>> = const { Cell::new(None) };
}

/// OCaml: `int -> Cstruct.t`.
#[mirust::export]
fn test_lend(ocaml: &mut OCamlRuntime, size: isize) -> BoxRoot<OCamlCstruct> {
    let (owner, drops) = Owner::new(size as usize);
    LENT.set(Some(drops));
    // SAFETY: the test only reads.
    unsafe { Buffer::own_in(ocaml, owner).share(ocaml) }
}

/// OCaml: `int -> Cstruct.t`. A vector, which is OCaml's from now on.
#[mirust::export]
fn test_give(ocaml: &mut OCamlRuntime, size: isize) -> Buffer {
    Buffer::own_in(ocaml, vec![b'v'; size as usize])
}

/// OCaml: `unit -> Cstruct.t`. What nobody can write to.
#[mirust::export]
fn test_literal(ocaml: &mut OCamlRuntime) -> Buffer {
    Buffer::own_in(ocaml, "a literal")
}

thread_local! {
    static KEPT: Cell<Option<Buffer>> = const { Cell::new(None) };
}

/// Keeps a buffer, and gives it back.
#[mirust::export]
fn test_keep(buffer: Buffer) -> Buffer {
    KEPT.set(Some(buffer.clone()));
    buffer
}

/// Writes to the first byte, and says whether what was kept has changed.
#[mirust::export]
fn test_overwrite(bytes: &mut [u8], with: isize) -> bool {
    let kept = KEPT.take().expect("a kept buffer");
    let seen: &[u8] = &kept;
    let before = std::hint::black_box(seen)[0];
    bytes[0] = with as u8;
    before != std::hint::black_box(seen)[0]
}

/// How often what was lent last was dropped.
#[mirust::export]
fn test_lent_drops(_: ()) -> isize {
    let drops = LENT.take();
    let count = drops.as_ref().map_or(0, |drops| drops.get() as isize);
    LENT.set(drops);
    count
}

/// Bytes that OCaml has of Rust.
#[mirust::export]
fn test_bytes_lent(_: ()) -> isize {
    bytes_lent().1 as isize
}
