use polling::{Event, Events, Poller};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

fn main() -> std::io::Result<()> {
    let socket = TcpListener::bind("127.0.0.1:8000")?;
    socket.set_nonblocking(true)?;
    let poller = Poller::new()?;
    // SAFETY: the socket is taken out of the poller before it is closed.
    unsafe { poller.add(&socket, Event::readable(7))? };
    let client = TcpStream::connect("127.0.0.1:8000")?;
    let mut events = Events::new();
    poller.wait(&mut events, Some(Duration::from_secs(10)))?;
    assert_eq!(events.iter().map(|event| event.key).collect::<Vec<_>>(), [7]);
    let (_, peer) = socket.accept()?;
    assert_eq!(peer, client.local_addr()?);
    poller.delete(&socket)?;
    println!("works");
    Ok(())
}
