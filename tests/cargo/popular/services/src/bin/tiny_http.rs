use std::io::{Read, Write};

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let server = tiny_http::Server::http("127.0.0.1:8000")?;
    let client = std::thread::spawn(|| {
        let mut stream = std::net::TcpStream::connect("127.0.0.1:8000").unwrap();
        stream.write_all(b"GET /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    });
    let request = server.recv()?;
    let answer =
        tiny_http::Response::from_string(format!("{} {}", request.method(), request.url()));
    request.respond(answer)?;
    assert!(client.join().unwrap().ends_with("GET /x"));
    println!("works");
    Ok(())
}
