use poem::listener::TcpListener;
use poem::web::{Json, Path};
use poem::{Route, Server, get, handler};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[handler]
fn hello(Path(name): Path<String>) -> Json<Vec<String>> {
    Json(vec!["Hello".into(), name])
}

#[tokio::main]
async fn main() {
    let app = Route::new().at("/hello/:name", get(hello));
    tokio::spawn(Server::new(TcpListener::bind("127.0.0.1:3000")).run(app));
    let mut stream = loop {
        match tokio::net::TcpStream::connect("127.0.0.1:3000").await {
            Ok(stream) => break stream,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    stream
        .write_all(b"GET /hello/Xen HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"["Hello","Xen"]"#),
        "{answer}"
    );
    println!("works");
}
