//! One end of a device in xenstore, and what can go wrong before the two are connected.

use super::State;
use crate::{
    events::BindError,
    gnttab::GrantError,
    wire::DomId,
    xenstore::{Asked, Error, Watch, Xenstore},
};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, future::poll_fn, pin::pin, str::FromStr, task::Poll};

/// The directory in which one end of a device says what it is and what it can do.
///
/// The toolstack makes both. The frontend's is in its own domain's part of the tree, and names the backend's.
#[derive(Clone, Debug)]
pub struct End {
    store: Xenstore,
    path: String,
}

/// The end that serves a device.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Its directory.
    pub end: End,
    /// Its domain.
    pub domid: DomId,
    /// Of which domain of ours it is the backend: another one has other backends, also where they have the same name
    /// ([`Xenstore::era`]).
    era: u32,
}

impl End {
    /// The end whose directory is `path`, as [`Xenstore`] has it.
    pub fn new(store: Xenstore, path: String) -> End {
        End { store, path }
    }

    /// The tree that it is in.
    pub fn store(&self) -> &Xenstore {
        &self.store
    }

    /// The path of one of its nodes.
    pub fn node(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// Tells of changes of one of its nodes, and of the directory's removal.
    ///
    /// # Errors
    ///
    /// Those of [`Xenstore::watch`].
    pub async fn watch(&self, name: &str) -> Result<Watch, Error> {
        self.store.watch(&self.node(name)).await
    }

    /// A value that may be missing. One that makes no sense counts as missing.
    ///
    /// # Errors
    ///
    /// Those of [`Xenstore::read`], but for the one that there is no such node.
    pub async fn value<T: FromStr>(&self, name: &str) -> Result<Option<T>, Error> {
        parsed(self.store.read_text(&self.node(name)).await)
    }

    /// A number, or `default` where [`value`](Self::value) has none.
    ///
    /// # Errors
    ///
    /// Those of [`value`](Self::value).
    pub async fn number(&self, name: &str, default: u32) -> Result<u32, Error> {
        Ok(self.value(name).await?.unwrap_or(default))
    }

    /// Whether a number is not zero; `default` where there is none.
    ///
    /// # Errors
    ///
    /// Those of [`value`](Self::value).
    pub async fn flag(&self, name: &str, default: bool) -> Result<bool, Error> {
        Ok(self.number(name, default.into()).await? != 0)
    }

    /// Asks for several of its nodes at once.
    pub fn read_all<const N: usize>(&self, names: [&str; N]) -> Asked {
        self.store.read_all(&names.map(|name| self.node(name)))
    }

    /// Sets several of its nodes at once, in this order.
    pub fn write_all(&self, nodes: &[(&str, u32)]) -> Asked {
        let nodes: Vec<_> =
            nodes.iter().map(|(name, value)| (self.node(name), value.to_string())).collect();
        self.store.write_all(&nodes)
    }

    /// Writes this end's state. The other one is told of it.
    ///
    /// # Errors
    ///
    /// Those of [`Xenstore::write`].
    pub async fn publish(&self, state: State) -> Result<(), Error> {
        self.store.write(&self.node("state"), (state as u8).to_string()).await
    }

    /// The backend that the toolstack has named in this frontend's directory, if it has.
    ///
    /// # Errors
    ///
    /// Those of [`Xenstore::read_parsed`], but for the one that no backend is named.
    pub async fn backend(&self) -> Result<Option<Backend>, Error> {
        let texts = self.read_all(["backend", "backend-id"]).texts().await;
        let [path, domid] = <[_; 2]>::try_from(texts).expect("as many as were asked for");
        let path = match path {
            Err(Error::NotFound) => return Ok(None),
            path => path?,
        };
        let domid = DomId(domid?.parse().map_err(|_| Error::BadValue)?);
        let era = self.store.era();
        Ok(Some(Backend { end: End::new(self.store.clone(), path), domid, era }))
    }

    /// Whether the backend is still the one that the toolstack names.
    ///
    /// # Errors
    ///
    /// Those of [`Backend::is_named`].
    pub async fn is_served_by(&self, backend: &Backend) -> Result<bool, Error> {
        backend.is_named(self.store.read_text(&self.node("backend")).await)
    }
}

impl Backend {
    /// Whether it was the backend of a domain that this one is no longer.
    pub fn is_past(&self) -> bool {
        self.era != self.end.store.era()
    }

    /// Whether it is the one with this path, which is that of the frontend's node `backend`.
    ///
    /// # Errors
    ///
    /// Those of reading the node, but for the one that there is none.
    pub fn is_named(&self, path: Result<String, Error>) -> Result<bool, Error> {
        match path {
            Err(Error::NotFound) => Ok(false),
            path => Ok(path? == self.end.path && !self.is_past()),
        }
    }

    /// What it has published, and whether the toolstack wants the device to exist: what
    /// [`step`](super::step) goes by.
    ///
    /// # Errors
    ///
    /// Those of [`End::value`].
    pub fn state(&self) -> impl Future<Output = Result<(State, bool), Error>> + use<> {
        // Asked for now.
        let asked = self.end.read_all(["state", "online"]);
        async {
            let texts = asked.texts().await;
            let [state, online] = <[_; 2]>::try_from(texts).expect("as many as were asked for");
            Ok((parsed(state)?.unwrap_or(State::Unknown), parsed(online)? != Some(0)))
        }
    }
}

/// A value that may be missing. One that makes no sense counts as missing.
///
/// # Errors
///
/// Those of reading it, but for the one that there is no such node.
pub fn parsed<T: FromStr>(text: Result<String, Error>) -> Result<Option<T>, Error> {
    match text {
        Ok(text) => Ok(text.parse().ok()),
        Err(Error::NotFound | Error::BadValue) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Why a frontend could not be connected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConnectError {
    /// Xenstore did not answer as it should.
    Store(Error),
    /// A ring could not be granted.
    Grant(GrantError),
    /// There is no event channel for it.
    Bind(BindError),
    /// The node of this name has no value that makes sense.
    Value(&'static str),
    /// The backend does not say that it has this feature, without which there is nothing.
    Lacks(&'static str),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Store(error) => write!(f, "xenstore: {error}"),
            ConnectError::Grant(error) => error.fmt(f),
            ConnectError::Bind(error) => error.fmt(f),
            ConnectError::Value(node) => write!(f, "{node} makes no sense"),
            ConnectError::Lacks(feature) => write!(f, "the backend has no {feature}"),
        }
    }
}

impl core::error::Error for ConnectError {}

impl From<Error> for ConnectError {
    fn from(error: Error) -> Self {
        ConnectError::Store(error)
    }
}

impl From<GrantError> for ConnectError {
    fn from(error: GrantError) -> Self {
        ConnectError::Grant(error)
    }
}

impl From<BindError> for ConnectError {
    fn from(error: BindError) -> Self {
        ConnectError::Bind(error)
    }
}

/// Whether a future ends before `limit` does.
pub async fn in_time(future: impl Future<Output = ()>, limit: impl Future<Output = ()>) -> bool {
    let (mut future, mut limit) = (pin!(future), pin!(limit));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(true),
        Poll::Pending => limit.as_mut().poll(cx).map(|()| false),
    })
    .await
}
