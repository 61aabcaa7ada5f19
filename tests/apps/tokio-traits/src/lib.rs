//! tokio's extension traits, and its `copy`, on connections of the OCaml stack.

use std::io;

use mirust::net::{TcpListener, TcpStream};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy};

/// Echoes, as tokio's own echo server does.
async fn serve(listener: TcpListener) -> io::Result<u64> {
    let (stream, _) = listener.accept().await?;
    let (mut reader, mut writer) = stream.into_split();
    copy(&mut reader, &mut writer).await
}

async fn ask(on: &str) -> io::Result<String> {
    let at = on.parse().map_err(io::Error::other)?;
    let server = mirust::spawn(serve(TcpListener::bind(at)?));
    let (reader, mut writer) = TcpStream::connect(at).await?.into_split();
    AsyncWriteExt::write_all(&mut writer, b"there and back\nunfinished").await?;
    writer.shutdown().await?;
    let mut line = String::new();
    let mut reader = BufReader::new(reader);
    reader.read_line(&mut line).await?;
    let first = line.trim_end().to_owned();
    reader.read_line(&mut line).await?;
    let echoed = server.await.map_err(|error| io::Error::other(error.to_string()))??;
    Ok(format!("{first}, {} of {echoed} bytes", line.len()))
}

#[mirust::export]
async fn exchange(on: String) -> Result<String, String> {
    ask(&on).await.map_err(|error| error.to_string())
}
