use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut word = [0; 5];
        stream.read_exact(&mut word)?;
        stream.write_all(&word)
    });
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"hello")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    server.join().unwrap()?;
    assert_eq!(text, "hello");
    let (a, b) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    a.send_to(b"datagram", b.local_addr()?)?;
    assert_eq!(b.recv_from(&mut [0; 20])?.0, 8);
    println!("works");
    Ok(())
}
