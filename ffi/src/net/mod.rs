//! TCP, UDP and names, over the OCaml TCP/IP stack.
//!
//! OCaml gives its stack to Rust by `Mirust_rust.serve`; [`ready`] waits for that. A program without
//! OCaml of its own has the crate's feature `net`, and calls [`up`] instead. From then on this is the network as other async runtimes have it, with the types of [`core::net`]:
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
//!                 if data.is_empty() || stream.write_all(&data).await.is_err() {
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
//! **Copies.** Received bytes are borrowed where the stack has them: [`TcpStream::read_chunk`] gives a
//! [`Buffer`](crate::ocaml::Buffer) without a copy; `read` copies once, into the caller's slice.
//! Written bytes are copied once, to memory that the stack keeps until they are acknowledged.
//! [`copied`] counts both.
//!
//! **Dropping** a stream closes it: what was written is sent, then the end of file. Dropping a
//! listener resets connections that nobody accepted, and refuses new ones. Both happen in the loop.
//!
//! All of this belongs to tasks and to a Rust main. Inside of a function that OCaml called there is
//! no network, and operations give [`Error::Unavailable`].

mod address;
#[cfg(feature = "embedded-io-async")]
mod embedded;
mod error;
#[cfg(feature = "futures-io")]
mod futures_io;
#[cfg(feature = "hyper")]
pub mod hyper;
mod names;
mod serve;
mod tcp;
mod udp;

pub use error::Error;
pub use names::lookup_host;
pub use serve::{copied, ready, up};
pub use std::net::Shutdown;
pub use tcp::{Incoming, OwnedReadHalf, OwnedWriteHalf, TcpListener, TcpStream};
pub use udp::UdpSocket;
