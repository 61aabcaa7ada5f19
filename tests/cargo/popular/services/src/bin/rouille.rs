use std::io::{Read, Write};

fn main() {
    let server = rouille::Server::new("127.0.0.1:8000", |request| {
        rouille::router!(request,
            (GET) (/hello/{name: String}) => { rouille::Response::text(format!("Hello, {name}!")) },
            _ => rouille::Response::empty_404())
    })
    .unwrap();
    let (handle, stop) = server.stoppable();
    let mut stream = std::net::TcpStream::connect("127.0.0.1:8000").unwrap();
    stream.write_all(b"GET /hello/Xen HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("Hello, Xen!"), "{answer}");
    stop.send(()).unwrap();
    handle.join().unwrap();
    println!("works");
}
