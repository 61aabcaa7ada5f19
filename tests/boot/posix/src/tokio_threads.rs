//! tokio with several threads: its sockets are used by whichever worker has the turn, and by blocking code of
//! std on threads of its own. OCaml's stack is below all of them.

use std::io::{Read, Write};
use std::net::{TcpListener as StdListener, TcpStream as StdStream, ToSocketAddrs, UdpSocket};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use tokio::time::timeout;

use super::Outcome;
use super::tokio_net::{datagrams, echo};

const WORKERS: usize = 4;
/// Threads with a blocking connection each.
const CLIENTS: u8 = 8;

pub(crate) fn run() -> Outcome {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    runtime.block_on(async {
        // A task each, so that nothing of it runs on the main stack. A lost wake-up is a hang.
        timeout(Duration::from_secs(100), tokio::spawn(echo())).await???;
        timeout(Duration::from_secs(10), tokio::spawn(datagrams())).await???;
        Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    })?;
    drop(runtime);
    let before = lowest_free()?;
    blocking()?;
    assert_eq!(lowest_free()?, before, "descriptors");
    Ok(())
}

/// The lowest number that no descriptor has.
fn lowest_free() -> std::io::Result<i32> {
    Ok(std::fs::File::open("/dev/null")?.as_raw_fd())
}

/// Everything on threads, the listener and its end too.
fn blocking() -> Outcome {
    let server = thread::spawn(serve);
    server.join().map_err(|_| "the server's thread has panicked")??;
    Ok(())
}

fn serve() -> std::io::Result<()> {
    let listener = StdListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    assert!(address.port() != 0);
    let clients: Vec<_> =
        (0..CLIENTS).map(|i| thread::spawn(move || ask(i, address.port()))).collect();
    let connections: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (stream, _) = listener.accept()?;
            Ok::<_, std::io::Error>(thread::spawn(move || answer(stream)))
        })
        .collect::<Result<_, _>>()?;
    for thread in clients.into_iter().chain(connections) {
        thread.join().expect("it has not panicked")?;
    }
    let (a, b) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    a.send_to(b"datagram", b.local_addr()?)?;
    let mut buf = [0; 16];
    assert_eq!(b.recv_from(&mut buf)?, (8, a.local_addr()?));
    Ok(())
}

/// Gives back what comes, until the end.
fn answer(mut stream: StdStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buf = [0; 4096];
    loop {
        match stream.read(&mut buf)? {
            0 => return Ok(()),
            n => stream.write_all(&buf[..n])?,
        }
    }
}

fn ask(i: u8, port: u16) -> std::io::Result<()> {
    let address = ("localhost", port).to_socket_addrs()?.find(|a| a.is_ipv4());
    let mut stream = StdStream::connect(address.expect("/etc/hosts has localhost"))?;
    assert_eq!(stream.peer_addr()?.port(), port);
    let message = vec![i; 10_000];
    let mut answer = vec![0; message.len()];
    for _ in 0..5 {
        stream.write_all(&message)?;
        stream.read_exact(&mut answer)?;
        assert!(answer == message, "client {i}");
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    assert_eq!(stream.read(&mut answer)?, 0);
    Ok(())
}
