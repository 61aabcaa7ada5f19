use smol::Timer;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};
use std::time::Duration;

fn main() -> std::io::Result<()> {
    smol::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:3000").await?;
        let server = smol::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            Timer::after(Duration::from_millis(5)).await;
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
