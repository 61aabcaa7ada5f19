//! An axum service on tokio's multi-threaded runtime: nothing here is specific to Mirust.

use std::convert::Infallible;
use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::info;

#[derive(Default)]
struct Visits(AtomicU64);

#[derive(Serialize)]
struct Greeting {
    hello: String,
    visit: u64,
}

#[derive(Deserialize)]
struct Length {
    bytes: u64,
}

/// `/json/NAME`: a greeting, and the number of greetings so far.
async fn greet(Path(name): Path<String>, State(visits): State<Arc<Visits>>) -> Json<Greeting> {
    let visit = visits.0.fetch_add(1, Ordering::Relaxed) + 1;
    Json(Greeting { hello: name, visit })
}

/// `/download?bytes=N`: that many bytes, generated as they are sent.
async fn download(Query(Length { bytes }): Query<Length>) -> Body {
    const PART: u64 = 64 * 1024;
    let part = Bytes::from(vec![b'x'; PART as usize]);
    let parts = (0..bytes.div_ceil(PART)).map(move |i| {
        let left = (bytes - i * PART).min(PART);
        Ok::<_, Infallible>(part.slice(..left as usize))
    });
    Body::from_stream(stream::iter(parts))
}

/// `PUT /upload`: the SHA-256 of the upload, which is never held in memory as a whole.
async fn upload(body: Body) -> Result<String, String> {
    let mut hash = Sha256::new();
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        hash.update(part.map_err(|error| error.to_string())?);
    }
    Ok(format!("{:x}\n", hash.finalize()))
}

/// `/primes?bytes=N`: the number of primes below N, counted on a thread for blocking work.
async fn primes(Query(Length { bytes }): Query<Length>) -> Result<String, String> {
    let below = bytes.min(1_000_000);
    let count = tokio::task::spawn_blocking(move || {
        (2..below).filter(|n| (2..).take_while(|d| d * d <= *n).all(|d| n % d != 0)).count()
    });
    count.await.map(|count| format!("{count}\n")).map_err(|error| error.to_string())
}

/// The longest message of a websocket, in bytes: it is kept as a whole, and by default it may have 64 MiB.
const LONGEST: usize = 64 * 1024;

/// `/ws`: a websocket that echoes.
async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_message_size(LONGEST).max_frame_size(LONGEST).on_upgrade(
        |mut socket: WebSocket| async move {
            while let Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) =
                socket.recv().await
            {
                if socket.send(message).await.is_err() {
                    break;
                }
            }
        },
    )
}

async fn log(request: Request, next: Next) -> impl IntoResponse {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    info!(%method, path, status = response.status().as_u16(), "request");
    response
}

/// Serves until shutdown is requested.
#[tokio::main]
pub async fn main() -> std::io::Result<()> {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let app = Router::new()
        .route("/", get(|| async { "Hello from axum\n" }))
        .route("/json/{name}", get(greet))
        .route("/download", get(download))
        .route("/upload", put(upload))
        .route("/primes", get(primes))
        .route("/ws", get(echo))
        .layer(middleware::from_fn(log))
        .with_state(Arc::new(Visits::default()));
    tokio::spawn(async {
        let mut tick = tokio::time::interval(Duration::from_secs(60));
        loop {
            tick.tick().await;
            info!("still there");
        }
    });
    let port = env::var("PORT").unwrap_or("80".into());
    let listener = tokio::net::TcpListener::bind(format!("0.0.0.0:{port}")).await?;
    println!("axum on port {port}");
    axum::serve(listener, app).await
}
