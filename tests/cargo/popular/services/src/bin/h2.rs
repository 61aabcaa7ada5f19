use bytes::Bytes;
use http::{Request, Response};

// HTTP/2 without TLS: both ends.
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:5928").await?;
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(socket).await.unwrap();
        while let Some(request) = connection.accept().await {
            let (_, mut respond) = request.unwrap();
            let mut send = respond.send_response(Response::new(()), false).unwrap();
            send.send_data(Bytes::from(vec![b'x'; 100_000]), true).unwrap();
        }
    });
    let stream = tokio::net::TcpStream::connect("127.0.0.1:5928").await?;
    let (mut client, connection) = h2::client::handshake(stream).await?;
    tokio::spawn(connection);
    let (answer, _) = client.send_request(Request::get("http://localhost/").body(())?, true)?;
    let mut body = answer.await?.into_body();
    let mut count = 0;
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        count += chunk.len();
        body.flow_control().release_capacity(chunk.len())?;
    }
    assert_eq!(count, 100_000);
    println!("works");
    Ok(())
}
