use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::{sync::mpsc, task, time};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut buffer = [0; 64];
                while let Ok(count @ 1..) = socket.read(&mut buffer).await {
                    socket.write_all(&buffer[..count]).await.unwrap();
                }
            });
        }
    });
    let mut stream = TcpStream::connect("127.0.0.1:8080").await?;
    stream.write_all(b"hello").await?;
    let mut word = [0; 5];
    stream.read_exact(&mut word).await?;
    assert_eq!(&word, b"hello");
    assert_eq!(task::spawn_blocking(|| 6 * 7).await?, 42);
    let (sender, mut receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        time::sleep(Duration::from_millis(10)).await;
        sender.send("late").await
    });
    assert_eq!(receiver.recv().await, Some("late"));
    assert!(time::timeout(Duration::from_millis(10), std::future::pending::<()>()).await.is_err());
    println!("works");
    Ok(())
}
