//! The Rust side of http: a hyper server on the OCaml network.

mod body;
mod metrics;

use body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use metrics::Metrics;
use mirust::net::hyper::Timer;
use mirust::net::{TcpListener, TcpStream};
use mirust::ocaml::{AsyncClosure, BoxRoot, OCamlPromise};
use mirust::time::Duration;
use sha2::{Digest, Sha256};
use std::net::{Ipv6Addr, SocketAddr};
use std::rc::Rc;

/// What `/big` sends: 100 MB.
const BIG: u64 = 100_000_000;
/// Connections that are served at a time. More wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;

/// What all connections share.
struct Server {
    /// OCaml's answer to a name.
    answer: BoxRoot<fn(String) -> OCamlPromise<String>>,
    metrics: Metrics,
}

/// Serves until its promise is cancelled, and calls `answer` for each request of `/ocaml/NAME`.
#[mirust::export(name = "http_serve")]
async fn serve(answer: BoxRoot<fn(String) -> OCamlPromise<String>>) -> Result<(), String> {
    let server = Rc::new(Server { answer, metrics: Metrics::default() });
    accept(server).await.map_err(|error| error.to_string())
}

async fn accept(server: Rc<Server>) -> Result<(), mirust::net::Error> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 80)))?;
    loop {
        while server.metrics.connections() >= MAX_CONNECTIONS {
            mirust::time::sleep(Duration::from_millis(1)).await;
        }
        let (stream, _) = listener.accept().await?;
        mirust::spawn(connection(stream, Rc::clone(&server)));
    }
}

async fn connection(stream: TcpStream, server: Rc<Server>) {
    let _open = server.metrics.open();
    // hyper writes whole responses; nothing is gained by waiting for more.
    if let Err(error) = stream.set_nodelay(true) {
        mirust::log::warn!("{error}");
    }
    let service = service_fn(|request| respond(request, Rc::clone(&server)));
    let served = http1::Builder::new()
        .timer(Timer)
        .header_read_timeout(Duration::from_secs(30))
        .serve_connection(stream, service)
        .await;
    if let Err(error) = served {
        // Clients come and go as they like.
        mirust::log::debug!("connection: {error}");
    }
}

async fn respond(
    request: Request<Incoming>,
    server: Rc<Server>,
) -> Result<Response<Body>, hyper::Error> {
    server.metrics.request();
    let path = request.uri().path().to_owned();
    let response = match (request.method(), path.as_str()) {
        (&Method::GET, "/") => text(StatusCode::OK, "Hello from Rust\n"),
        (&Method::GET, "/big") => Response::new(Body::zeros(BIG)),
        // What a mistake does to the others: nothing.
        (&Method::GET, "/panic") => panic!("as it was asked to"),
        (&Method::GET, "/metrics") => text(StatusCode::OK, server.metrics.to_string()),
        (&Method::PUT | &Method::POST, "/upload") => hash(request.into_body()).await?,
        (&Method::GET, path) if path.starts_with("/ocaml/") => {
            let name = path["/ocaml/".len()..].to_owned();
            match server.answer.call_async((name,)).to_rust::<String>().await {
                Ok(answer) => text(StatusCode::OK, answer),
                // An OCaml exception loses its request, and nothing else.
                Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            }
        }
        _ => text(StatusCode::NOT_FOUND, "There is no such page\n"),
    };
    Ok(response)
}

/// The SHA-256 of an upload, which is never in memory as a whole.
async fn hash(mut body: Incoming) -> Result<Response<Body>, hyper::Error> {
    let mut sha256 = Sha256::new();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            sha256.update(data);
        }
    }
    Ok(text(StatusCode::OK, format!("{:x}\n", sha256.finalize())))
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::whole(text.into()));
    *response.status_mut() = status;
    response
}
