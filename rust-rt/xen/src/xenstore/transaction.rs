//! Several requests that take effect together or not at all.

use super::{Xenstore, connection::Connection, error::Error, reply::Reply};
use crate::wire::xenstore::{self as wire, Kind};
use alloc::sync::Arc;
use core::ops::Deref;

/// An open transaction; derefs to the view of xenstore inside it. Dropping it aborts it.
#[must_use = "dropping it gives the transaction up"]
#[derive(Debug)]
pub struct Transaction {
    store: Xenstore,
    open: bool,
}

impl Transaction {
    pub(super) async fn begin(connection: Arc<Connection>) -> Result<Transaction, Error> {
        let payload: &[&[u8]] = &[b"\0"];
        let reply = Reply::to(&connection, Kind::TransactionStart, 0, payload)?.await?;
        let tx_id = wire::parse_transaction_id(&reply)?;
        Ok(Transaction { store: Xenstore { connection, tx_id }, open: true })
    }

    /// Commits. [`Error::Again`] if another client has changed what was read: then nothing has taken effect.
    pub async fn commit(mut self) -> Result<(), Error> {
        self.open = false;
        let payload: &[&[u8]] = &[b"T\0"];
        let Xenstore { connection, tx_id } = &self.store;
        let reply = Reply::to(connection, Kind::TransactionEnd, *tx_id, payload)?.await?;
        Ok(wire::parse_ok(&reply)?)
    }
}

impl Xenstore {
    /// Starts a transaction by hand; [`transaction`](Self::transaction) also repeats it.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        Transaction::begin(self.connection.clone()).await
    }

    /// Runs `body` in a transaction and commits it; repeats it on conflicts with other clients. If `body` fails,
    /// nothing of what it did remains.
    ///
    /// [`Error::Again`] after 32 attempts.
    pub async fn transaction<T>(
        &self,
        mut body: impl AsyncFnMut(&Xenstore) -> Result<T, Error>,
    ) -> Result<T, Error> {
        for _ in 0..32 {
            let transaction = self.begin().await?;
            match body(&transaction).await {
                Ok(value) => match transaction.commit().await {
                    Ok(()) => return Ok(value),
                    Err(Error::Again) => {}
                    Err(error) => return Err(error),
                },
                Err(Error::Again) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Again)
    }
}

impl Deref for Transaction {
    type Target = Xenstore;

    fn deref(&self) -> &Xenstore {
        &self.store
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.open {
            self.store.connection.send_abort(self.store.tx_id);
        }
    }
}
