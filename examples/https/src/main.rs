//! HTTPS: hyper on tokio-rustls, with a certificate from a file. Nothing here is specific to Mirust.

use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// How long a client may take to agree on keys.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What hyper keeps of a request's head, in bytes, and of an answer that is not read: by default it is 400 KB, which
/// every client could have it keep.
const BUFFER: usize = 16 * 1024;

/// The configuration from the files `cert.pem` (the server's certificate chain) and `key.pem`.
fn tls(dir: &Path) -> Result<ServerConfig, Box<dyn Error>> {
    let certificates = CertificateDer::pem_file_iter(dir.join("cert.pem"))
        .and_then(Iterator::collect)
        .map_err(|error| format!("{}/cert.pem: {error}", dir.display()))?;
    let key = PrivateKeyDer::from_pem_file(dir.join("key.pem"))
        .map_err(|error| format!("{}/key.pem: {error}", dir.display()))?;
    Ok(ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key)?)
}

async fn greet(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = format!("{} {} over TLS\n", request.method(), request.uri().path());
    Ok(Response::new(text.into()))
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor) -> Result<(), Box<dyn Error>> {
    let stream = timeout(HANDSHAKE, acceptor.accept(stream)).await??;
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service_fn(greet));
    Ok(connection.await?)
}

/// Clients can provoke as many complaints as they like: the first few are printed, and then each time that their number
/// has doubled.
fn complain(complaint: fmt::Arguments<'_>) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    if n <= 8 || n.is_power_of_two() {
        eprintln!("{complaint} (complaint {n})");
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = env::var("TLS_FILES").unwrap_or("/tls".into());
    let acceptor = TlsAcceptor::from(Arc::new(tls(dir.as_ref())?));
    let port = env::var("PORT").unwrap_or("443".into());
    let listener = TcpListener::bind(format!("0.0.0.0:{port}")).await?;
    println!("https on port {port}");
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            // Too many connections for now, or one that was closed at once.
            Err(error) => {
                complain(format_args!("cannot accept: {error}"));
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            if let Err(error) = serve(stream, acceptor).await {
                complain(format_args!("{peer}: {error}"));
            }
        });
    }
}
