//! The route `/` of examples/http, by hyper on tokio in one thread: `tokio-http ADDRESS:PORT`.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

fn main() -> io::Result<()> {
    let Some(address) = std::env::args().nth(1) else {
        return Err(io::Error::other("usage: tokio-http ADDRESS:PORT"));
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(address).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::task::spawn_local(connection(stream));
        }
    })
}

async fn connection(stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    // Clients come and go as they like.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(30))
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service_fn(respond))
        .await;
}

async fn respond(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => Response::new(Full::from("Hello from Rust\n")),
        _ => {
            let mut response = Response::new(Full::from("There is no such page\n"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    })
}
