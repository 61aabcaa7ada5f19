//! Says hello over HTTP, with a thread for each connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:8080")?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        // A client can be gone before it is accepted.
        let Ok(stream) = stream else { continue };
        thread::spawn(move || {
            if let Err(error) = answer(stream) {
                eprintln!("a connection ended: {error}");
            }
        });
    }
    Ok(())
}

/// The most that is read of a request, in bytes.
const LONGEST: u64 = 16384;

/// Reads one request, up to the empty line, and answers it.
fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let peer = stream.peer_addr()?;
    for line in BufReader::new((&stream).take(LONGEST)).lines() {
        if line?.is_empty() {
            break;
        }
    }
    let body = format!("Hello, {peer}!\n");
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}
