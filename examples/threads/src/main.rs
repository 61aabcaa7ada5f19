//! A server with a thread for each connection, using only the standard library: nothing here is specific to Mirust.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How often each path has been requested.
type Visits = Mutex<BTreeMap<String, u64>>;

/// A generous stack for the threads here: a domain of 64 MiB has room for hundreds of them.
const STACK: usize = 64 * 1024;

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
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    // The request, `GET /path HTTP/1.1`; then headers up to an empty line.
    while let Some(request) = lines.next().transpose()? {
        let mut close = false;
        for header in lines.by_ref() {
            let header = header?;
            if header.is_empty() {
                break;
            }
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

fn greeting(path: &str, visits: &Visits) -> String {
    // The counts are valid even if a thread panicked while it held the lock.
    let mut visits = visits.lock().unwrap_or_else(PoisonError::into_inner);
    let count = visits.entry(path.to_owned()).or_default();
    *count += 1;
    let thread = thread::current();
    format!("{path}: visit {count}, of {}\n", thread.name().unwrap_or("nobody"))
}
