//! TCP, UDP and names, over the OCaml TCP/IP stack.
//!
//! OCaml gives its stack to Rust by `Mirust_rust.serve`; [`ready`] waits for that. A program without OCaml
//! code uses the crate's feature `net`, and calls [`up`] instead. From then on this is a network as in other
//! async runtimes, with the types of [`core::net`]:
//!
//! ```
//! # fn compiles() {
//! use mirust::net::TcpListener;
//!
//! mirust::spawn(async {
//!     mirust::net::ready().await;
//!     let listener = TcpListener::bind("0.0.0.0:7".parse().unwrap())?;
//!     loop {
//!         let (mut stream, _) = listener.accept().await?;
//!         mirust::spawn(async move {
//!             while let Ok(data) = stream.read_chunk().await {
//!                 if data.is_empty() || stream.write_chunk(data).await.is_err() {
//!                     break;
//!                 }
//!             }
//!         });
//!     }
//! #   #[allow(unreachable_code)]
//! #   Ok::<(), mirust::net::Error>(())
//! });
//! # }
//! ```
//!
//! **Copies.** Received bytes can be borrowed from the stack: [`TcpStream::read_chunk`] returns a
//! [`Buffer`](crate::ocaml::Buffer) without a copy, and [`TcpStream::write_chunk`] sends one on without a
//! copy, which is all that a proxy needs. [`TcpStream::write_owned`] sends what Rust owns without a copy.
//! `read` copies once, into the caller's slice, and `write` once, to memory that the stack keeps until it is
//! acknowledged. [`copied`] counts both.
//!
//! **Memory.** Data that waits to be sent, and data received but not read, is bounded for each connection and
//! for all of them together: a slow or hostile peer makes tasks wait. Bytes written without a copy count
//! until they are acknowledged. They are freed later, when OCaml's collector finds them unreachable, as a
//! device may still read what was retransmitted; the collector is told how much memory that will free.
//!
//! **Dropping** a stream closes it: what was written is sent, then the end of file. Dropping a
//! listener resets connections that were not accepted, and refuses new ones. Both happen in the loop.
//!
//! **Traits of other crates**, each behind a feature of this crate:
//!
//! | feature | traits |
//! |---|---|
//! | `embedded-io-async` | `Read`, `Write`, `BufRead`, `ReadReady`: [`embedded_io`] |
//! | `embedded-nal-async` | `TcpConnect`, `UdpStack` and `Dns`, of [`embedded_nal::Network`] |
//! | `futures-io` | `AsyncRead`, `AsyncWrite`, `AsyncBufRead`: [`futures_io`](mod@futures_io) |
//! | `hyper` | `Read` and `Write`; in [`hyper`](mod@hyper) its executor and timer |
//! | `tokio` | `AsyncRead`, `AsyncWrite`, `AsyncBufRead`: [`tokio`](mod@tokio) |
//!
//! **Statistics**: [`stats`] of the stack, [`TcpStream::info`] of a connection.
//!
//! All of this can be used in tasks and in a Rust main function. Inside a function called by OCaml there
//! is no network, and operations return [`Error::Unavailable`].

mod address;
mod connection;
mod counted;
#[cfg(feature = "embedded-io-async")]
pub mod embedded_io;
#[cfg(feature = "embedded-nal-async")]
pub mod embedded_nal;
mod error;
#[cfg(feature = "futures-io")]
pub mod futures_io;
mod halves;
#[cfg(feature = "hyper")]
pub mod hyper;
mod listener;
mod names;
mod numbers;
mod octets;
mod serve;
#[cfg(any(feature = "futures-io", feature = "hyper", feature = "tokio"))]
mod sides;
mod stats;
mod stream;
#[cfg(feature = "tokio")]
pub mod tokio;
mod udp;
mod wait;

pub use counted::stats;
pub use error::Error;
pub use halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use listener::{Incoming, TcpListener};
pub use names::{Interface, interface, lookup_host, name_servers};
pub use serve::{Flow as OCamlFlow, ready, up};
pub use stats::{Copied, Gauges, Stats, TcpInfo, TcpState, TcpStats, UdpStats, copied};
pub use std::net::Shutdown;
pub use stream::TcpStream;
pub use udp::UdpSocket;
