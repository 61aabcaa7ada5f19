//! tokio in one thread: many connections at a time, each of several rounds.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::Outcome;

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 5;

pub(crate) fn run() -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // A lost wake-up is a hang.
        timeout(Duration::from_secs(100), echo()).await??;
        timeout(Duration::from_secs(10), datagrams()).await?
    })
}

pub(crate) async fn echo() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        for _ in 0..CONNECTIONS {
            let (mut stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                // Larger than what comes: tokio takes a short read for the end of what there is.
                let mut buf = vec![0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut buf).await {
                    if stream.write_all(&buf[..n]).await.is_err() {
                        break;
                    }
                }
            });
        }
        Ok::<(), std::io::Error>(())
    });
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|i| {
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await?;
                for round in 0..ROUNDS {
                    let message = vec![(i + round) as u8; 100 + 300 * i];
                    let (mut reader, mut writer) = stream.split();
                    let mut answer = vec![0; message.len()];
                    let (sent, got) =
                        tokio::join!(writer.write_all(&message), reader.read_exact(&mut answer));
                    sent?;
                    got?;
                    assert!(answer == message, "connection {i}, round {round}");
                }
                Ok::<(), std::io::Error>(())
            })
        })
        .collect();
    for client in clients {
        client.await??;
    }
    server.await??;
    Ok(())
}

pub(crate) async fn datagrams() -> Outcome {
    let (a, b) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
    b.connect(a.local_addr()?).await?;
    let mut buf = [0; 100];
    for round in 0..50u8 {
        let message = [round; 33];
        let (sent, received) = tokio::join!(b.send(&message), a.recv_from(&mut buf));
        assert_eq!((sent?, received?.0, buf[32]), (33, 33, round));
    }
    Ok(())
}
