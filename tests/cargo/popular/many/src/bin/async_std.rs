use async_std::io::prelude::*;
use async_std::net::{TcpListener, TcpStream};
use async_std::task;
use std::time::Duration;

fn main() -> std::io::Result<()> {
    task::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:3000").await?;
        let server = task::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            task::sleep(Duration::from_millis(5)).await;
            stream.write_all(b"hello").await
        });
        let mut text = String::new();
        TcpStream::connect("127.0.0.1:3000").await?.read_to_string(&mut text).await?;
        server.await?;
        assert_eq!(text, "hello");
        println!("works");
        Ok(())
    })
}
