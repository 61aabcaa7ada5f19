//! A server with a thread for each connection, using only the standard library: nothing here is specific to Mirust.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How often each path has been requested.
type Visits = Mutex<BTreeMap<String, u64>>;

/// A generous stack for the threads here: a domain of 64 MiB has room for hundreds of them.
const STACK: usize = 64 * 1024;

/// The longest line that is read, in bytes: a longer one would have to be kept.
const LONGEST: u64 = 4096;

/// This many paths are counted: clients make them up.
const MOST_PATHS: usize = 256;

/// A client that is silent for this long counts as gone.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> io::Result<()> {
    let port = env::var("PORT").unwrap_or("80".into());
    let listener = TcpListener::bind(format!("0.0.0.0:{port}"))?;
    println!("threads on port {port}");
    let visits = Arc::new(Visits::default());
    let mut turned_away = 0_u64;
    for (number, stream) in listener.incoming().enumerate() {
        // A client can be gone before it is accepted.
        let Ok(stream) = stream else { continue };
        let visits = Arc::clone(&visits);
        let thread = thread::Builder::new().name(format!("client {number}")).stack_size(STACK);
        // Without memory for another thread the connection is closed, since the closure is dropped.
        if let Err(error) = thread.spawn(move || serve(stream, &visits)) {
            // Clients can provoke that as often as they like: the first few are printed, and then each time that their
            // number has doubled.
            turned_away += 1;
            if turned_away <= 8 || turned_away.is_power_of_two() {
                eprintln!("client {number} has to go: {error} ({turned_away} so far)");
            }
        }
    }
    Ok(())
}

/// Answers requests on a connection until the client closes it, or asks for that.
fn serve(stream: TcpStream, visits: &Visits) {
    // How the connection ended does not matter.
    let _ = answer_all(stream, visits);
}

fn answer_all(mut stream: TcpStream, visits: &Visits) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    // The request, `GET /path HTTP/1.1`; then headers up to an empty line.
    while let Some(request) = line(&mut reader)? {
        let mut close = false;
        while let Some(header) = line(&mut reader)?.filter(|header| !header.is_empty()) {
            close |= header.eq_ignore_ascii_case("connection: close");
        }
        let (status, body) = match request.split(' ').collect::<Vec<_>>()[..] {
            ["GET", path, "HTTP/1.1"] => ("200 OK", greeting(path, visits)),
            // A body would be taken for the next request.
            _ => {
                close = true;
                ("400 Bad Request", "only GET, please\n".to_owned())
            }
        };
        let connection = if close { "close" } else { "keep-alive" };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: {connection}\r\n\r\n{body}"
        );
        stream.write_all(answer.as_bytes())?;
        if close {
            break;
        }
    }
    Ok(())
}

/// The next line, without its end; nothing after the last one.
fn line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    reader.take(LONGEST).read_line(&mut line)?;
    let Some(text) = line.strip_suffix('\n') else {
        let error = (!line.is_empty()).then(|| io::Error::other("too long a line, or half of one"));
        return error.map_or(Ok(None), Err);
    };
    Ok(Some(text.strip_suffix('\r').unwrap_or(text).to_owned()))
}

fn greeting(path: &str, visits: &Visits) -> String {
    // The counts are valid even if a thread panicked while it held the lock.
    let mut visits = visits.lock().unwrap_or_else(PoisonError::into_inner);
    let thread = thread::current();
    let client = thread.name().unwrap_or("nobody");
    if visits.len() == MOST_PATHS && !visits.contains_key(path) {
        return format!("{path}: one of many, for {client}\n");
    }
    let count = visits.entry(path.to_owned()).or_default();
    *count += 1;
    format!("{path}: visit {count}, of {client}\n")
}
