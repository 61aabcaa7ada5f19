use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;

// A server that speaks HTTP/1 and HTTP/2, and the pooling client.
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3002").await?;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = hyper::service::service_fn(
                |request: hyper::Request<hyper::body::Incoming>| async move {
                    let text = format!("{:?} {}", request.version(), request.uri().path());
                    Ok::<_, std::convert::Infallible>(hyper::Response::new(text))
                },
            );
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                server.serve_connection(TokioIo::new(stream), service).await
            });
        }
    });
    for (client, expected) in [
        (Client::builder(TokioExecutor::new()).build_http(), "HTTP/1.1 /a"),
        (Client::builder(TokioExecutor::new()).http2_only(true).build_http(), "HTTP/2.0 /a"),
    ] {
        for _ in 0..3 {
            let client: &Client<_, Empty<bytes::Bytes>> = &client;
            let answer = client.get("http://127.0.0.1:3002/a".parse()?).await?;
            assert_eq!(answer.into_body().collect().await?.to_bytes(), expected);
        }
    }
    println!("works");
    Ok(())
}
