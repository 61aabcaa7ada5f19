use rocket::{get, routes, tokio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[get("/hello/<name>/<age>")]
fn hello(name: &str, age: u8) -> String {
    format!("Hello, {age} year old named {name}!")
}

#[rocket::main]
async fn main() -> Result<(), rocket::Error> {
    let server = rocket::build().mount("/", routes![hello]).ignite().await?;
    let shutdown = server.shutdown();
    let serving = tokio::spawn(server.launch());
    let mut stream = loop {
        match tokio::net::TcpStream::connect("127.0.0.1:8000").await {
            Ok(stream) => break stream,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    stream.write_all(b"GET /hello/Xen/9 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("Hello, 9 year old named Xen!"), "{answer}");
    shutdown.notify();
    serving.await.unwrap()?;
    println!("works");
    Ok(())
}
