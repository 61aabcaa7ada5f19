//! mio, by the C library; polling, by system calls.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use super::Outcome;

pub(crate) fn run() -> Outcome {
    with_mio()?;
    end_behind_a_full_buffer()?;
    with_polling()
}

fn with_mio() -> Outcome {
    let (server, accepted, client, wake) = (Token(0), Token(1), Token(2), Token(3));
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(16);
    let waker = Waker::new(poll.registry(), wake)?;
    waker.wake()?;
    poll.poll(&mut events, None)?;
    assert_eq!(events.iter().map(|event| event.token()).collect::<Vec<_>>(), [wake]);
    let start = Instant::now();
    poll.poll(&mut events, Some(Duration::from_millis(10)))?;
    assert!(events.is_empty() && start.elapsed() >= Duration::from_millis(10));

    let mut listener = TcpListener::bind("127.0.0.1:7002".parse()?)?;
    poll.registry().register(&mut listener, server, Interest::READABLE)?;
    let mut stream = TcpStream::connect("127.0.0.1:7002".parse()?)?;
    poll.registry().register(&mut stream, client, Interest::READABLE | Interest::WRITABLE)?;
    let mut peer: Option<TcpStream> = None;
    let (mut got, mut closed) = (Vec::new(), false);
    while !closed {
        poll.poll(&mut events, Some(Duration::from_secs(10)))?;
        if events.is_empty() {
            return Err("a wake-up was lost".into());
        }
        for event in events.iter() {
            if event.token() == server {
                let (mut new, _) = listener.accept()?;
                poll.registry().register(&mut new, accepted, Interest::READABLE)?;
                peer = Some(new);
            } else if event.token() == client && event.is_writable() && got.is_empty() {
                let _ = stream.write(b"ping")?;
            } else if event.token() == client && event.is_read_closed() {
                closed = true;
            }
            if event.token() == accepted {
                let Some(peer) = &mut peer else { continue };
                let mut buf = [0; 64];
                loop {
                    match peer.read(&mut buf) {
                        Ok(0) => break,
                        Ok(n) => got.extend_from_slice(&buf[..n]),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        if got.starts_with(b"ping") {
            peer = None;
        }
    }
    Ok(())
}

/// After a read that took all there was, into a buffer of just that size, the end of the peer's data is still reported,
/// whether it came with the data or later.
fn end_behind_a_full_buffer() -> Outcome {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(16);
    for at_once in [true, false] {
        let mut client = std::net::TcpStream::connect(listener.local_addr()?)?;
        let (server, _) = listener.accept()?;
        server.set_nonblocking(true)?;
        let mut server = TcpStream::from_std(server);
        poll.registry().register(&mut server, Token(0), Interest::READABLE)?;
        client.write_all(b"ping")?;
        let mut client = Some(client);
        if at_once {
            client = None;
        }
        let (mut buf, mut got, mut closed) = ([0; 4], 0, false);
        while !closed {
            poll.poll(&mut events, Some(Duration::from_secs(10)))?;
            if events.is_empty() {
                return Err("nobody said that the peer has ended".into());
            }
            closed = events.iter().any(|event| event.is_read_closed());
            if got == 0 {
                got = server.read(&mut buf)?;
                assert_eq!(&buf[..got], b"ping");
                client = None;
            }
        }
        assert_eq!((got, client.is_none()), (4, true));
    }
    Ok(())
}

fn with_polling() -> Outcome {
    use std::net::{TcpListener, TcpStream};
    let poller = polling::Poller::new()?;
    let mut events = polling::Events::new();
    poller.notify()?;
    poller.wait(&mut events, None)?;
    assert!(events.is_empty());
    let start = Instant::now();
    poller.wait(&mut events, Some(Duration::from_millis(10)))?;
    assert!(start.elapsed() >= Duration::from_millis(10));

    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    // SAFETY: the listener is deleted before it is dropped.
    unsafe { poller.add(&listener, polling::Event::readable(7))? };
    let _client = TcpStream::connect(listener.local_addr()?)?;
    poller.wait(&mut events, Some(Duration::from_secs(10)))?;
    assert_eq!(events.iter().map(|event| event.key).collect::<Vec<_>>(), [7]);
    // One shot: nothing more until it is asked for again.
    events.clear();
    poller.wait(&mut events, Some(Duration::ZERO))?;
    assert!(events.is_empty());
    poller.modify(&listener, polling::Event::readable(8))?;
    poller.wait(&mut events, Some(Duration::from_secs(10)))?;
    assert_eq!(events.iter().map(|event| event.key).collect::<Vec<_>>(), [8]);
    poller.delete(&listener)?;
    Ok(())
}
