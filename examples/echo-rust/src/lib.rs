//! TCP echo (RFC 862), on port 7, without a line of OCaml.

use std::net::{Ipv6Addr, SocketAddr};

use mirust::net::{self, Error, TcpListener, TcpStream};

mirust::main!(run);

async fn run() -> Result<(), Error> {
    net::up().await?;
    let listener = TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 7)))?;
    loop {
        let (stream, peer) = listener.accept().await?;
        mirust::log::debug!("{peer}");
        mirust::spawn(echo(stream));
    }
}

async fn echo(mut stream: TcpStream) -> Result<(), Error> {
    loop {
        let data = stream.read_chunk().await?;
        if data.is_empty() {
            return Ok(());
        }
        stream.write_chunk(data).await?;
    }
}
