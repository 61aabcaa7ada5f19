use tokio::io::{AsyncReadExt, AsyncWriteExt};
use warp::Filter;

#[tokio::main]
async fn main() {
    let hello = warp::path!("hello" / String).map(|name| format!("Hello, {name}!"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3030").await.unwrap();
    tokio::spawn(warp::serve(hello).incoming(listener).run());
    let mut stream = tokio::net::TcpStream::connect("127.0.0.1:3030").await.unwrap();
    stream.write_all(b"GET /hello/Xen HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("Hello, Xen!"), "{answer}");
    println!("works");
}
