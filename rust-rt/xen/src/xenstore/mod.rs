//! A client of xenstore, the tree through which domains and the toolstack find each other.
//!
//! All calls go through one ring to one daemon and may be made by any number of tasks at once: each
//! request has a number, and the daemon may answer in any order. [`Xenstore::run`] moves the bytes
//! and has to be spawned once.
//!
//! Nothing that the daemon sends is trusted: a reply of the wrong shape is [`Error::Malformed`], and a corrupt ring is
//! [`Error::Broken`] for every pending call. If the daemon can reset the ring, the connection recovers, and the watches
//! with it.
//!
//! A call ends when the daemon answers, which a broken daemon may never do: a caller that cannot wait for ever has to
//! set a timeout. Every future here may be dropped at any time, without leaving anything behind.
//!
//! Source: Xen's `docs/misc/xenstore.txt` and `docs/misc/xenstore-ring.txt`.

mod connection;
mod driver;
mod error;
mod numbered;
mod relay;
mod reply;
mod several;
mod state;
mod transaction;
mod watch;
mod watches;

use super::events::EventChannel;
use crate::{
    shared::SharedPage,
    wire::{
        DomId,
        xenstore::{self as wire, Kind, Perm},
    },
};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use connection::Connection;
use core::{ptr::NonNull, str::FromStr};
use mirust_mem::OutOfMemory;
use reply::Reply;

pub use error::Error;
pub use several::Asked;
pub use transaction::Transaction;
pub use watch::Watch;

/// A handle on xenstore; cheap to clone.
///
/// Paths are absolute (`/local/domain/0/…`) or relative to the domain's own directory
/// (`device/vif/0`), at most 3071 or 2047 bytes long. Values are any bytes, at most about 4000 of
/// them; by convention they are text without a terminating NUL.
///
/// ```
/// # use mirust_xen::xenstore::{Error, Xenstore};
/// /// What the toolstack calls this domain, each time that it changes.
/// async fn follow_name(store: &Xenstore) -> Result<(), Error> {
///     let mut watch = store.watch("name").await?;
///     loop {
///         watch.next().await?;
///         log::info!("this domain is called {}", store.read_text("name").await?);
///     }
/// }
/// ```
///
/// # Errors
///
/// Any call may fail with an errno of the daemon's (such as [`Error::NotFound`] for a node that does not exist), with
/// [`Error::BadPath`], [`Error::Malformed`] for a reply that makes no sense, or [`Error::Broken`] if the connection was
/// lost. Further errors are listed with each.
#[derive(Clone, Debug)]
pub struct Xenstore {
    connection: Arc<Connection>,
    /// The transaction that requests belong to, or zero.
    tx_id: u32,
}

impl Xenstore {
    /// A client on the ring in `page`, whose other end is reached by `channel`.
    pub fn new(page: SharedPage, channel: EventChannel) -> Xenstore {
        Xenstore { connection: Arc::new(Connection::new(page, channel)), tx_id: 0 }
    }

    /// Moves bytes between the ring and pending calls. Runs until it is dropped; no call is answered without it.
    pub fn run(&self) -> impl Future<Output = core::convert::Infallible> + 'static {
        let connection = self.connection.clone();
        async move { connection.run().await }
    }

    /// The value of a node.
    pub async fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        self.ask(Kind::Read, path, &[]).await
    }

    /// The value of a node, as text.
    ///
    /// # Errors
    ///
    /// [`Error::BadValue`] if it is not UTF-8, and those of any call.
    pub async fn read_text(&self, path: &str) -> Result<String, Error> {
        String::from_utf8(self.read(path).await?).map_err(|_| Error::BadValue)
    }

    /// The value of a node as a number, or whatever else `T` parses.
    ///
    /// # Errors
    ///
    /// [`Error::BadValue`] if it cannot be parsed, and those of any call.
    pub async fn read_parsed<T: FromStr>(&self, path: &str) -> Result<T, Error> {
        self.read_text(path).await?.parse().map_err(|_| Error::BadValue)
    }

    /// Sets the value of a node, and makes the node and its parents if they do not exist.
    pub async fn write(&self, path: &str, value: impl AsRef<[u8]>) -> Result<(), Error> {
        let reply = self.ask(Kind::Write, path, &[value.as_ref()]).await?;
        Ok(wire::parse_ok(&reply)?)
    }

    /// Creates an empty node, if it does not exist.
    pub async fn mkdir(&self, path: &str) -> Result<(), Error> {
        Ok(wire::parse_ok(&self.ask(Kind::Mkdir, path, &[]).await?)?)
    }

    /// Removes a node and everything below it.
    pub async fn rm(&self, path: &str) -> Result<(), Error> {
        Ok(wire::parse_ok(&self.ask(Kind::Rm, path, &[]).await?)?)
    }

    /// The names of a node's children, in no particular order.
    ///
    /// # Errors
    ///
    /// [`Error::TooBig`] if they take more than 4096 bytes, and those of any call.
    pub async fn directory(&self, path: &str) -> Result<Vec<String>, Error> {
        Ok(wire::parse_strings(&self.ask(Kind::Directory, path, &[]).await?)?)
    }

    /// The permissions of a node; the first entry names its owner.
    pub async fn get_perms(&self, path: &str) -> Result<Vec<Perm>, Error> {
        Ok(wire::parse_perms(&self.ask(Kind::GetPerms, path, &[]).await?)?)
    }

    /// Sets the permissions of a node; the first entry names its owner.
    pub async fn set_perms(&self, path: &str, perms: &[Perm]) -> Result<(), Error> {
        let mut list = Vec::new();
        perms.iter().for_each(|perm| perm.emit(&mut list));
        Ok(wire::parse_ok(&self.ask(Kind::SetPerms, path, &[&list]).await?)?)
    }

    /// The path of a domain's directory, whether the domain exists or not.
    pub async fn domain_path(&self, domid: DomId) -> Result<String, Error> {
        let domid = format!("{domid}\0");
        let reply = self.request(Kind::GetDomainPath, &[domid.as_bytes()]).await?;
        Ok(wire::parse_string(&reply)?)
    }

    /// Watches a node and everything below it. The first event comes at once, for `path` itself.
    pub async fn watch(&self, path: &str) -> Result<Watch, Error> {
        if !wire::path_is_valid(path) {
            return Err(Error::BadPath);
        }
        Watch::new(self.connection.clone(), path).await
    }

    /// Gives the connection up and makes the daemon reset the ring, as after an error: pending calls fail with
    /// [`Error::Broken`], transactions are lost, watches are registered again.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`], and nothing happens, if the daemon cannot do that: oxenstored can, the
    /// xenstored written in C cannot.
    pub fn reset(&self) -> Result<(), Error> {
        self.connection.reset()
    }

    /// Whether no call is pending and no transaction is open.
    pub fn is_quiet(&self) -> bool {
        self.connection.is_quiet()
    }

    /// The channel to the daemon, which has another port in another domain.
    pub fn channel(&self) -> &EventChannel {
        self.connection.channel()
    }

    /// Starts again in a new domain, whose ring is empty and whose daemon does not know this client: pending calls fail
    /// with [`Error::Broken`], transactions are lost, watches are registered again and fire once.
    pub fn renew(&self) {
        self.connection.renew();
    }

    /// How often this has started again: the number of domains that this one was before.
    pub fn era(&self) -> u32 {
        self.connection.era()
    }

    /// The number of unexpected or malformed messages from the daemon.
    pub fn oddities(&self) -> u64 {
        self.connection.oddities()
    }

    /// Serves a second client: code in this domain that speaks the protocol itself, on a page of its own
    /// with the layout of the daemon's. Both ends of that page are used by the thread that calls this.
    ///
    /// Returns the page's address; the page is valid for ever, and all zeros now. The client announces its changes by
    /// [`relay_notified`](Self::relay_notified), and is notified by `bell`, which may be called from within that, and
    /// must not call anything here. A second call starts again, on the same page, with a client that has no watches.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] for the page.
    pub fn relay(
        &self,
        bell: impl Fn() + Send + Sync + 'static,
    ) -> Result<NonNull<u8>, OutOfMemory> {
        self.connection.relay(Arc::new(bell))
    }

    /// Looks at the second client's ring. Allocates, and runs no task.
    pub fn relay_notified(&self) {
        self.connection.relay_notified();
    }

    /// Whether the second client watches the node, named relative to the domain's directory.
    pub fn relay_watches(&self, path: &str) -> bool {
        self.connection.relay_watches(path)
    }

    /// A request whose payload is a path and its NUL, and whatever follows.
    async fn ask(&self, kind: Kind, path: &str, rest: &[&[u8]]) -> Result<Vec<u8>, Error> {
        if !wire::path_is_valid(path) {
            return Err(Error::BadPath);
        }
        let payload = [&[path.as_bytes(), b"\0"], rest].concat();
        self.request(kind, &payload).await
    }

    async fn request(&self, kind: Kind, payload: &[&[u8]]) -> Result<Vec<u8>, Error> {
        Reply::to(&self.connection, kind, self.tx_id, payload)?.await
    }
}

#[cfg(any(test, feature = "fake"))]
pub mod daemon;
#[cfg(any(test, feature = "fake"))]
pub mod lies;
#[cfg(test)]
mod tests;
