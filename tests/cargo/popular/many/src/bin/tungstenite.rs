use std::net::{TcpListener, TcpStream};
use tungstenite::{Message, accept, client};

fn main() {
    let listener = TcpListener::bind("127.0.0.1:9001").unwrap();
    let server = std::thread::spawn(move || {
        let mut socket = accept(listener.accept().unwrap().0).unwrap();
        let message = socket.read().unwrap();
        socket.send(message).unwrap();
    });
    let stream = TcpStream::connect("127.0.0.1:9001").unwrap();
    let (mut socket, _) = client("ws://localhost:9001/", stream).unwrap();
    socket.send(Message::text("hello")).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text("hello"));
    server.join().unwrap();
    println!("works");
}
