//! Connections that OCaml hands over.

use mirust::net::{OCamlFlow, TcpStream};
use mirust::ocaml::BoxRoot;

use super::text;

/// An echo on a connection that OCaml has accepted.
#[mirust::export]
async fn test_net_flow(flow: BoxRoot<OCamlFlow>) -> Result<(), String> {
    let mut stream = TcpStream::from_ocaml(&flow).map_err(text)?;
    loop {
        let chunk = stream.read_chunk().await.map_err(text)?;
        if chunk.is_empty() {
            return Ok(());
        }
        stream.write_chunk(chunk).await.map_err(text)?;
    }
}
