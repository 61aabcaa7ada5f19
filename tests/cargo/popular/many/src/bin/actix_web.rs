use actix_web::{App, HttpServer, Responder, get, web};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[get("/hello/{name}")]
async fn greet(name: web::Path<String>) -> impl Responder {
    format!("Hello {name}!")
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let server = HttpServer::new(|| App::new().service(greet)).workers(2).bind(("127.0.0.1", 8080))?.run();
    let handle = server.handle();
    let serving = actix_web::rt::spawn(server);
    let mut stream = tokio::net::TcpStream::connect("127.0.0.1:8080").await?;
    stream.write_all(b"GET /hello/Xen HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("Hello Xen!"), "{answer}");
    handle.stop(true).await;
    serving.await??;
    println!("works");
    Ok(())
}
