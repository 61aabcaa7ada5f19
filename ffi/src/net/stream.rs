//! Connections.

use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;

use super::connection::{Connection, Reading, nanoseconds};
use super::numbers::Setting;
use super::octets::Octets;
use super::serve::{self, Flow};
use super::stats::TcpInfo;
use super::{Error, address};
use crate::ocaml::{BoxRoot, OCaml};
use crate::time::Duration;

/// A connection. Dropping it, or both halves of it, closes it: what was written is sent, and then the end
/// of file.
///
/// All futures can be dropped without loss, except those of [`write_all`](Self::write_all),
/// [`write_chunk`](Self::write_chunk) and [`write_owned`](Self::write_owned), which may have written a part;
/// so for a time limit, put [`time::timeout`](crate::time::timeout) around any of them:
///
/// ```
/// # async fn compiles(stream: &mut mirust::net::TcpStream) -> Result<(), mirust::net::Error> {
/// use mirust::time::{Duration, timeout};
///
/// match timeout(Duration::from_secs(30), stream.read_chunk()).await {
///     Ok(chunk) => mirust::log::info!("{} bytes", chunk?.len()),
///     Err(_) => mirust::log::info!("nothing for half a minute"),
/// }
/// # Ok(())
/// # }
/// ```
pub struct TcpStream {
    pub(super) connection: Rc<Connection>,
    pub(super) reading: Reading,
}

impl TcpStream {
    pub(super) fn new(flow: &BoxRoot<Flow>) -> Result<Self, Error> {
        Ok(TcpStream { connection: Rc::new(Connection::new(flow)?), reading: Reading::default() })
    }

    /// The connection of a flow that OCaml has accepted or opened. OCaml gives up the flow: it must not read,
    /// write or close it any more.
    ///
    /// ```
    /// # fn compiles() {
    /// use mirust::net::{OCamlFlow, TcpStream};
    /// use mirust::ocaml::BoxRoot;
    ///
    /// /// `external greet : TCP.flow -> (unit, string) result Lwt.t = "greet"`
    /// #[mirust::export]
    /// async fn greet(flow: BoxRoot<OCamlFlow>) -> Result<(), String> {
    ///     let mut stream = TcpStream::from_ocaml(&flow).map_err(|error| error.to_string())?;
    ///     stream.write_all(b"hello").await.map_err(|error| error.to_string())
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`]: also if OCaml has not given its stack to Rust (`Mirust_rust.serve`).
    pub fn from_ocaml(flow: &BoxRoot<Flow>) -> Result<Self, Error> {
        TcpStream::new(flow)
    }

    /// Connects to a peer.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], [`Error::TimedOut`], [`Error::NoResources`], [`Error::Unavailable`].
    pub async fn connect(address: SocketAddr) -> Result<Self, Error> {
        let stack = serve::tcp()?;
        let promise = serve::start(&stack.connect, (Octets::new(address::encode(address)),));
        let flow = serve::reply(promise.await, |_, flow| OCaml::root(flow))?;
        TcpStream::new(&flow)
    }

    /// [`connect`](Self::connect) with a time limit.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_timeout(address: SocketAddr, limit: Duration) -> Result<Self, Error> {
        let connect = Self::connect(address);
        crate::time::timeout(limit, connect).await.unwrap_or(Err(Error::TimedOut))
    }

    /// Whether small writes are sent at once instead of being collected (Nagle, RFC 1122 section
    /// 4.2.3.4).
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub fn set_nodelay(&self, nodelay: bool) -> Result<(), Error> {
        self.connection.set(Setting::Nodelay, nodelay.into())
    }

    /// Probes the peer after this much silence, every second, nine times; `None` switches probes off.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub fn set_keepalive(&self, after: Option<Duration>) -> Result<(), Error> {
        self.connection.set(Setting::Keepalive, after.map_or(0, nanoseconds))
    }

    /// How long written data may stay unacknowledged before the connection is given up (RFC 5482).
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub fn set_user_timeout(&self, limit: Duration) -> Result<(), Error> {
        self.connection.set(Setting::UserTimeout, nanoseconds(limit))
    }

    /// Round-trip time, windows, retransmissions, as of now.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub fn info(&self) -> Result<TcpInfo, Error> {
        self.connection.info()
    }

    /// Ends one direction: after `Write` the peer reads end of file after what was written; after `Read`
    /// whatever arrives is discarded.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Error> {
        self.connection.shutdown(how)
    }

    /// Resets the connection; written data may be lost.
    pub fn abort(self) {
        self.reset();
    }

    /// Closes the connection of a peer that is refused while it sends. Dropping it with unread data would reset it (RFC
    /// 2525 section 2.17), and the reset can overtake the refusal. Instead our direction ends after what was written,
    /// and what arrives is discarded until the peer has ended its own, for at most `limit`.
    pub async fn drain(mut self, limit: Duration) {
        if self.shutdown(Shutdown::Write).is_ok() {
            let discard =
                async { while self.read_chunk().await.is_ok_and(|chunk| !chunk.is_empty()) {} };
            // Whether it has ended or not, it is dropped.
            let _ = crate::time::timeout(limit, discard).await;
        }
    }

    /// [`abort`](Self::abort), for code that does not own the stream.
    pub(crate) fn reset(&self) {
        self.connection.close(true);
    }
}
