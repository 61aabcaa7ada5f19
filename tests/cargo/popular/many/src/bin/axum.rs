use axum::{Json, Router, routing::get};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::main]
async fn main() {
    let app = Router::new().route("/", get(async || Json(json!({ "hello": "world" }))));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await.unwrap();
    tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
    let mut stream = tokio::net::TcpStream::connect("127.0.0.1:3000").await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#"{"hello":"world"}"#), "{answer}");
    println!("works");
}
