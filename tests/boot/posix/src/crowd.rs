//! A server with a thread for each connection, started as most programs do, by a call that panics without memory for
//! it; and far more clients that do nothing than there is memory for stacks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use super::Outcome;

/// Of 512 KiB each, in 64 MiB.
const CLIENTS: usize = 300;

pub(crate) fn run() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    let crowd = (0..CLIENTS).map(|_| TcpStream::connect(address)).collect::<Result<Vec<_>, _>>()?;
    for _ in 0..3 {
        ask(address)?;
    }
    assert!(!server.is_finished(), "the server has panicked");
    drop(crowd);
    ask(address)?;
    Ok(())
}

/// An octet, and the same again.
fn answer(mut stream: TcpStream) {
    let mut octet = [0];
    if stream.read_exact(&mut octet).is_ok() {
        let _ = stream.write_all(&octet);
    }
}

fn ask(address: SocketAddr) -> Outcome {
    let mut client = TcpStream::connect(address)?;
    client.write_all(b"x")?;
    let mut octet = [0];
    client.read_exact(&mut octet)?;
    assert_eq!(&octet, b"x");
    Ok(())
}
