//! The Rust side of proxy: connects to the target, and forwards the bytes.

mod passing;

use mirust::net::{Error, OCamlFlow, TcpStream, lookup_host};
use mirust::ocaml::{BoxRoot, Closure, with_runtime};
use mirust::time::Duration;

/// How long an address of the target may take to answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Connects to a port of a host, and forwards bytes between the two connections until both directions have
/// ended, or there were none for `idle` seconds. It takes ownership of the flow, which is closed or reset in
/// any case. `moved` is told three things: whether there was progress, whether it was an answer to the client, and
/// whether the client is in the middle of something. If its promise is cancelled, the target's connection is reset.
#[mirust::export(name = "proxy_relay")]
async fn relay(
    #[ocaml(type = "Mirust_stack.Stack.TCP.flow")] flow: BoxRoot<OCamlFlow>,
    host: String,
    port: isize,
    idle: isize,
    moved: BoxRoot<fn(bool, bool, bool)>,
) -> Result<(), String> {
    let client = TcpStream::from_ocaml(&flow).map_err(|error| error.to_string())?;
    let target = match connect(&host, port as u16).await {
        Ok(target) => target,
        Err(error) => {
            // There is no answer, not an empty one.
            client.abort();
            return Err(format!("{host}:{port}: {error}"));
        }
    };
    let idle = Duration::from_secs(idle.max(1) as u64);
    let told = move |news: passing::News| {
        let arguments = (news.progress, news.answered, news.busy);
        if let Err(error) = with_runtime(|ocaml| moved.call(ocaml, arguments).map(|_| ())) {
            mirust::log::error!("{error}");
        }
    };
    passing::pass(client, target, idle, told).await.map_err(|error| error.to_string())
}

/// Connects to the first of the host's addresses that answers.
async fn connect(host: &str, port: u16) -> Result<TcpStream, Error> {
    let mut last = Error::NotFound;
    for address in lookup_host(host, port).await? {
        match TcpStream::connect_timeout(address, CONNECT_LIMIT).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Bytes that were copied.
#[mirust::export(name = "proxy_copied")]
fn copied() -> isize {
    let copied = mirust::net::copied();
    (copied.received + copied.sent) as isize
}
