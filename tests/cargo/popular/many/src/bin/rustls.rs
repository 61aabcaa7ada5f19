use std::sync::Arc;

fn main() {
    // Keys and random numbers of ring; a whole connection needs certificates.
    let roots = rustls::RootCertStore::empty();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = "example.org".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    assert!(hello.starts_with(&[22, 3]) && hello.len() > 100);
    println!("works");
}
