use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, connect_async};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:9001").await?;
    tokio::spawn(async move {
        let socket = accept_async(listener.accept().await.unwrap().0).await.unwrap();
        let (write, read) = socket.split();
        let _ = read.take(2).forward(write).await;
    });
    let (mut socket, _) = connect_async("ws://127.0.0.1:9001/").await?;
    for message in [Message::text("hello"), Message::binary(vec![7; 100_000])] {
        socket.send(message.clone()).await?;
        assert_eq!(socket.next().await.unwrap()?, message);
    }
    println!("works");
    Ok(())
}
