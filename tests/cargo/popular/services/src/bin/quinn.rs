use std::sync::Arc;

use quinn::rustls::pki_types::PrivateKeyDer;

// QUIC: both ends, over UDP, with a certificate of their own.
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der())?;
    let certificate = certified.cert.der().clone();
    let server_config = quinn::ServerConfig::with_single_cert(vec![certificate.clone()], key)?;
    let server = quinn::Endpoint::server(server_config, "127.0.0.1:4433".parse()?)?;
    let serving = tokio::spawn(async move {
        let connection = server.accept().await.unwrap().await.unwrap();
        let (mut send, mut receive) = connection.accept_bi().await.unwrap();
        let text = receive.read_to_end(1 << 20).await.unwrap();
        send.write_all(&text).await.unwrap();
        send.finish().unwrap();
        connection.closed().await;
    });
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate)?;
    let mut client = quinn::Endpoint::client("127.0.0.1:0".parse()?)?;
    client.set_default_client_config(quinn::ClientConfig::with_root_certificates(Arc::new(roots))?);
    let connection = client.connect("127.0.0.1:4433".parse()?, "localhost")?.await?;
    let (mut send, mut receive) = connection.open_bi().await?;
    let text = b"0123456789".repeat(10_000);
    send.write_all(&text).await?;
    send.finish()?;
    assert_eq!(receive.read_to_end(1 << 20).await?, text);
    connection.close(0u32.into(), b"done");
    client.wait_idle().await;
    serving.await?;
    println!("works");
    Ok(())
}
