//! The Rust side of http: a hyper server on the OCaml network.

mod body;
mod metrics;
mod places;
mod progress;

use body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use metrics::Metrics;
use mirust::net::hyper::Timer;
use mirust::net::{TcpListener, TcpStream};
use mirust::ocaml::{AsyncClosure, BoxRoot, OCamlPromise};
use mirust::time::Duration;
use places::{Place, Places};
use progress::Progress;
use sha2::{Digest, Sha256};
use std::future::{Future, poll_fn};
use std::net::{Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

/// What `/big` sends: 100 MB.
const BIG: u64 = 100_000_000;
/// A connection without progress for this long is closed, whatever it is in the middle of: otherwise a stalled
/// upload, or a download that is not read, would keep its place for ever. This also detects dead peers.
const STALLED: Duration = Duration::from_secs(30);
/// The largest upload, in octets.
const UPLOAD: u64 = 100_000_000;
/// hyper's buffer for a connection, at most.
const BUFFER: usize = 16384;

#[mirust::export]
impl Places {
    /// For `most` connections at a time, one at least.
    fn new(most: isize) -> Places {
        Places::with(most.max(1) as usize)
    }

    /// Changes their number.
    fn set_most(&self, most: isize) {
        self.resize(most.max(1) as usize);
    }
}

/// What all connections share.
struct Server {
    places: Rc<Places>,
    /// OCaml's answer to a name.
    answer: BoxRoot<fn(String) -> OCamlPromise<String>>,
    metrics: Metrics,
}

/// Serves until its promise is cancelled, as many connections at a time as there are `places`, and calls `answer` for
/// each request for `/ocaml/NAME`.
#[mirust::export(name = "http_serve")]
async fn serve(
    places: Rc<Places>,
    answer: BoxRoot<fn(String) -> OCamlPromise<String>>,
) -> Result<(), String> {
    let server = Rc::new(Server { places, answer, metrics: Metrics::default() });
    accept(server).await.map_err(|error| error.to_string())
}

async fn accept(server: Rc<Server>) -> Result<(), mirust::net::Error> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 80)))?;
    loop {
        let (stream, _) = listener.accept().await?;
        server.places.room().await;
        server.metrics.accepted();
        mirust::spawn(connection(stream, server.places.take(), Rc::clone(&server)));
    }
}

async fn connection(stream: TcpStream, place: Place, server: Rc<Server>) {
    // hyper writes whole responses; nothing is gained by waiting for more.
    if let Err(error) = stream.set_nodelay(true) {
        mirust::log::debug!("{error}");
    }
    let progress = place.progress();
    let service = service_fn(|request| respond(request, Rc::clone(&server), progress.clone()));
    let mut served = http1::Builder::new()
        .timer(Timer)
        .header_read_timeout(STALLED)
        .max_buf_size(BUFFER)
        // Without this, hyper reads ahead while a request is answered, to a new buffer, only to learn that its client has
        // gone: that shows when the answer is written.
        .half_close(true)
        .serve_connection(stream, service);
    let mut stalled = pin!(progress.stalled(STALLED));
    let mut must_leave = pin!(progress.must_leave());
    let ended = poll_fn(|cx| match Pin::new(&mut served).poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending if must_leave.as_mut().poll(cx).is_ready() => Poll::Ready(None),
        Poll::Pending => stalled.as_mut().poll(cx).map(|()| None),
    });
    match ended.await {
        // The refusal should arrive.
        Some(Ok(())) if progress.is_refused() => {
            let mut drained = pin!(served.into_parts().io.drain(STALLED));
            poll_fn(|cx| match must_leave.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => drained.as_mut().poll(cx),
            })
            .await;
        }
        Some(Ok(())) => {}
        // Errors of single connections are normal.
        Some(Err(error)) => mirust::log::debug!("connection: {error}"),
        None => {
            mirust::log::debug!("connection: nothing moves");
            // Its memory is needed: what it has not read is not sent any more.
            served.into_parts().io.abort();
        }
    }
}

async fn respond(
    request: Request<Incoming>,
    server: Rc<Server>,
    progress: Progress,
) -> Result<Response<Body>, hyper::Error> {
    server.metrics.request();
    progress.asked();
    let response = match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => text(StatusCode::OK, "Hello from Rust\n"),
        (&Method::GET, "/big") => Response::new(Body::zeros(BIG)),
        // To show that a panic does not affect others.
        (&Method::GET, "/panic") => panic!("as it was asked to"),
        (&Method::GET, "/metrics") => {
            server.metrics.open(server.places.taken());
            text(StatusCode::OK, server.metrics.to_string())
        }
        (&Method::PUT | &Method::POST, "/upload") => hash(request.into_body(), &progress).await?,
        (&Method::GET, path) if path.starts_with("/ocaml/") => {
            let name = path["/ocaml/".len()..].to_owned();
            match server.answer.call_async((name,)).to_rust::<String>().await {
                Ok(answer) => text(StatusCode::OK, answer),
                // An OCaml exception costs only this request.
                Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            }
        }
        _ => text(StatusCode::NOT_FOUND, "There is no such page\n"),
    };
    Ok(response.map(|body| body.for_client(progress)))
}

/// The SHA-256 of an upload, which is never held in memory as a whole.
async fn hash(mut body: Incoming, progress: &Progress) -> Result<Response<Body>, hyper::Error> {
    let mut sha256 = Sha256::new();
    let mut length = body.size_hint().lower();
    if length > UPLOAD {
        return Ok(too_large(progress));
    }
    length = 0;
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            progress.uploaded(data.len());
            length += data.len() as u64;
            if length > UPLOAD {
                return Ok(too_large(progress));
            }
            sha256.update(data);
        }
    }
    progress.made();
    Ok(text(StatusCode::OK, format!("{:x}\n", sha256.finalize())))
}

/// The rest of the upload is discarded, and the connection ends.
fn too_large(progress: &Progress) -> Response<Body> {
    progress.refuse();
    let mut response =
        text(StatusCode::PAYLOAD_TOO_LARGE, format!("no more than {UPLOAD} octets\n"));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::whole(text.into()));
    *response.status_mut() = status;
    response
}
