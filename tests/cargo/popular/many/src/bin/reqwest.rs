use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Deserialize)]
struct Answer {
    origin: String,
}

// A server that speaks TLS with a certificate made on the spot, and the client that trusts it.
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = made.signing_key.serialize_der().try_into()?;
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8443").await?;
    tokio::spawn(async move {
        let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let mut request = [0; 1024];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\n{\"origin\": \"here\"}";
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    let certificate = reqwest::Certificate::from_der(made.cert.der())?;
    let client = reqwest::Client::builder().tls_certs_only([certificate]).build()?;
    let answer: Answer = client.get("https://localhost:8443/ip").send().await?.json().await?;
    assert_eq!(answer.origin, "here");
    println!("works");
    Ok(())
}
