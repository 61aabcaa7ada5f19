//! One service, two grounds. The environment variable GROUND says which:
//!
//! - `tokio`: axum on tokio in one thread, over the C functions of `mirust-libc`
//! - `net`: the same router, by hyper on `mirust::net`
//! - `epoll`: no service, but the nanoseconds that an `epoll_wait` takes with one descriptor ready

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Instant;

use axum::Router;
use axum::routing::get;

fn router() -> Router {
    Router::new().route("/", get(|| async { "Hello from Rust\n" }))
}

fn on_tokio() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("0.0.0.0:80").await?;
        axum::serve(NoDelay(listener), router()).await
    })
}

/// Small answers leave at once, as on the other side.
struct NoDelay(tokio::net::TcpListener);

impl axum::serve::Listener for NoDelay {
    type Io = tokio::net::TcpStream;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, peer) = axum::serve::Listener::accept(&mut self.0).await;
        let _ = stream.set_nodelay(true);
        (stream, peer)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

async fn on_net() -> io::Result<()> {
    let address = "0.0.0.0:80".parse().map_err(io::Error::other)?;
    let listener = mirust::net::TcpListener::bind(address)?;
    let service = hyper_util::service::TowerToHyperService::new(router());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service.clone();
        mirust::spawn(async move {
            // Clients come and go as they like.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(mirust::net::hyper::Timer)
                .serve_connection(stream, service)
                .await;
        });
    }
}

// SAFETY: the types are those of Linux's `epoll.h` and `eventfd.h`. The safe ones take numbers only.
unsafe extern "C" {
    safe fn epoll_create1(flags: i32) -> i32;
    safe fn eventfd(value: u32, flags: i32) -> i32;
    fn epoll_ctl(epoll: i32, operation: i32, fd: i32, event: *const Event) -> i32;
    fn epoll_wait(epoll: i32, events: *mut Event, count: i32, timeout: i32) -> i32;
}

#[repr(C, packed)]
#[derive(Clone, Copy)]
struct Event {
    events: u32,
    data: u64,
}

/// A level is found again by each call. The least of ten measurements.
fn epoll() -> io::Result<()> {
    const CALLS: u32 = 200_000;
    // SAFETY: both numbers are new, and nobody else's.
    let (set, ready) =
        unsafe { (OwnedFd::from_raw_fd(epoll_create1(0)), OwnedFd::from_raw_fd(eventfd(1, 0))) };
    let event = Event { events: 1, data: 0 };
    // SAFETY: 1 adds a descriptor; the event is readable.
    assert_eq!(unsafe { epoll_ctl(set.as_raw_fd(), 1, ready.as_raw_fd(), &raw const event) }, 0);
    let mut events = [event; 64];
    let once = || {
        let start = Instant::now();
        for _ in 0..CALLS {
            // SAFETY: 64 events are writable.
            assert_eq!(unsafe { epoll_wait(set.as_raw_fd(), events.as_mut_ptr(), 64, -1) }, 1);
        }
        start.elapsed().as_nanos() as u32 / CALLS
    };
    let best = std::iter::repeat_with(once).take(10).min();
    println!("epoll_wait with one descriptor ready: {} ns", best.unwrap_or_default());
    Ok(())
}

async fn run() -> io::Result<()> {
    mirust::net::up().await?;
    match std::env::var("GROUND").as_deref() {
        Ok("tokio") => on_tokio(),
        Ok("net") => on_net().await,
        Ok("epoll") => epoll(),
        _ => Err(io::Error::other("GROUND is tokio, net or epoll")),
    }
}

mirust::main!(run);
