use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

fn main() -> std::io::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind("127.0.0.1:13265".parse().unwrap())?;
    poll.registry().register(&mut listener, Token(0), Interest::READABLE)?;
    let mut client = TcpStream::connect("127.0.0.1:13265".parse().unwrap())?;
    poll.registry().register(&mut client, Token(1), Interest::WRITABLE)?;
    let (mut accepted, mut connected) = (false, false);
    let mut events = Events::with_capacity(8);
    while !(accepted && connected) {
        poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                Token(0) => accepted = listener.accept().is_ok() || accepted,
                _ => connected = client.peer_addr().is_ok() || connected,
            }
        }
    }
    println!("works");
    Ok(())
}
