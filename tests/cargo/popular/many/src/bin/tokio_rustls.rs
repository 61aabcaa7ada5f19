use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

// Both ends of a connection, with a certificate made on the spot.
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = made.signing_key.serialize_der().try_into()?;
    let server = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone())?;
    let client =
        rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let listener = TcpListener::bind("127.0.0.1:8443").await?;
    let echo = tokio::spawn(async move {
        let stream = listener.accept().await.unwrap().0;
        let mut stream = TlsAcceptor::from(Arc::new(server)).accept(stream).await.unwrap();
        let mut word = [0; 5];
        stream.read_exact(&mut word).await.unwrap();
        stream.write_all(&word).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    let stream = TcpStream::connect("127.0.0.1:8443").await?;
    let name = "localhost".try_into()?;
    let mut stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await?;
    stream.write_all(b"hello").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    echo.await?;
    assert_eq!(text, "hello");
    println!("works");
    Ok(())
}
