//! How the second client's requests, replies and events pass through the connection.

use super::super::error::Error;
use super::super::state::{Hooks, Request, State, Turn};
use super::{Bell, MARK, Relayed, Watched, marked, strings, two_strings};
use crate::ring::Corrupt;
use crate::shared::SharedPage;
use crate::wire::xenstore::{self as wire, Header, Kind};
use alloc::vec::Vec;
use core::task::Waker;

impl State {
    /// What the connection calls here.
    pub(in super::super) const RELAY_HOOKS: Hooks = Hooks {
        serve: State::serve_relay,
        event: State::relay_event,
        reply: State::relay_reply,
        fail: State::relay_fail,
        reconnect: State::relay_reconnect,
    };

    /// Takes the second client's requests, and delivers what has come for it, until there is neither. Returns what
    /// to call if anything was moved.
    fn serve_relay(
        &mut self,
        page: &SharedPage,
        turn: &mut Turn,
        wakers: &mut Vec<Waker>,
    ) -> Option<Bell> {
        let mut moved = false;
        while self.relay_take() {
            moved = true;
            let next = self.turn(page, wakers);
            turn.moved |= next.moved;
            turn.more |= next.more;
        }
        let relay = self.relay.as_mut()?;
        moved |= relay.give();
        moved.then(|| relay.bell())
    }

    /// Takes requests from the second client's ring. Returns whether there were any bytes.
    fn relay_take(&mut self) -> bool {
        let mut bytes = [0; 1024];
        let Some(pulled) = self.relay.as_mut().and_then(|relay| relay.pull(&mut bytes)) else {
            return false;
        };
        let taken = pulled.and_then(|n| self.relay_feed(&bytes[..n]));
        if taken.is_err() {
            self.relay_abandon();
        }
        true
    }

    fn relay_feed(&mut self, bytes: &[u8]) -> Result<(), Corrupt> {
        if let Some(relay) = self.relay.as_mut() {
            relay.incoming.extend_from_slice(bytes);
        }
        while let Some(relay) = self.relay.as_mut() {
            let Some((header, payload)) = relay.next_request()? else { break };
            if let Err(name) = self.relay_request(header, &payload) {
                if let Some(relay) = self.relay.as_mut() {
                    relay.refuse(header.req_id, name);
                }
            }
        }
        Ok(())
    }

    /// Forwards a request of the client's, or says which error it gets.
    fn relay_request(&mut self, header: Header, payload: &[u8]) -> Result<(), &'static [u8]> {
        let Some(relay) = self.relay.as_mut() else { return Ok(()) };
        let (Header { req_id, tx_id, .. }, kind) = (header, Kind::from_raw(header.kind));
        if tx_id != 0 && !relay.transactions.contains(&tx_id) {
            return Err(b"ENOENT\0");
        }
        match kind {
            None | Some(Kind::WatchEvent | Kind::Error) => Err(b"ENOSYS\0"),
            Some(Kind::ResetWatches) => {
                // For the daemon this would be about our watches as well.
                self.relay_forget();
                if let Some(relay) = self.relay.as_mut() {
                    relay.reply(Kind::ResetWatches, req_id, 0, b"OK\0");
                }
                Ok(())
            }
            Some(kind @ (Kind::Watch | Kind::Unwatch)) => {
                let (path, token) = two_strings(payload).ok_or(&b"EINVAL\0"[..])?;
                let watch = Some((path.to_vec(), token.to_vec()));
                let payload = strings(path, &marked(token));
                self.relay_send(Relayed { kind, req_id, watch }, tx_id, &payload)
            }
            Some(kind) => {
                let ends = kind == Kind::TransactionEnd && matches!(payload, b"T\0" | b"F\0");
                self.relay_send(Relayed { kind, req_id, watch: None }, tx_id, payload)?;
                if let (true, Some(relay)) = (ends, self.relay.as_mut()) {
                    relay.transactions.remove(&tx_id);
                }
                Ok(())
            }
        }
    }

    fn relay_send(
        &mut self,
        relayed: Relayed,
        tx_id: u32,
        payload: &[u8],
    ) -> Result<(), &'static [u8]> {
        match self.send(Request::Relayed(relayed), tx_id, &[payload]) {
            Ok(_) => {
                if let Some(relay) = self.relay.as_mut() {
                    relay.in_flight += 1;
                }
                Ok(())
            }
            Err(Error::TooBig) => Err(b"E2BIG\0"),
            Err(_) => Err(b"EIO\0"),
        }
    }

    /// Handles the daemon's answer to a request of the client's. Returns whether it was one.
    fn relay_reply(
        &mut self,
        relayed: Relayed,
        kind: Option<Kind>,
        tx_id: u32,
        payload: &[u8],
    ) -> bool {
        let Some(relay) = self.relay.as_mut() else { return true };
        relay.in_flight -= 1;
        match kind {
            Some(Kind::Error) => relay.reply(Kind::Error, relayed.req_id, tx_id, payload),
            Some(kind) if kind == relayed.kind => {
                match (kind, relayed.watch) {
                    (Kind::Watch, Some(watch)) => drop(relay.watches.insert(watch)),
                    (Kind::Unwatch, Some(watch)) => drop(relay.watches.remove(&watch)),
                    (Kind::TransactionStart, _) => {
                        let Ok(id) = wire::parse_transaction_id(payload) else {
                            relay.refuse(relayed.req_id, b"EIO\0");
                            return false;
                        };
                        relay.transactions.insert(id);
                    }
                    _ => {}
                }
                relay.reply(kind, relayed.req_id, tx_id, payload);
            }
            Some(_) | None => {
                relay.refuse(relayed.req_id, b"EIO\0");
                return false;
            }
        }
        true
    }

    /// The connection has failed: the request will not be answered, and the transactions are gone.
    fn relay_fail(&mut self) {
        let failed = self.requests.take_all(|request| matches!(request, Request::Relayed(_)));
        let Some(relay) = self.relay.as_mut() else { return };
        for request in failed {
            let Request::Relayed(request) = request else { continue };
            relay.in_flight -= 1;
            relay.refuse(request.req_id, b"EIO\0");
        }
        relay.transactions.clear();
    }

    /// Keeps a watch event for the client if it is the client's. Returns whether it is.
    fn relay_event(&mut self, payload: &[u8]) -> bool {
        let Some((path, [MARK, token @ ..])) = two_strings(payload) else { return false };
        if let Some(relay) = self.relay.as_mut() {
            relay.event(strings(path, token));
        }
        true
    }

    /// Registers the client's watches again, with a daemon that has forgotten them.
    fn relay_reconnect(&mut self) {
        let watches: Vec<Watched> =
            self.relay.iter().flat_map(|relay| relay.watches.iter().cloned()).collect();
        for (path, token) in watches {
            let payload = strings(&path, &marked(&token));
            let _ = self.send(Request::Abandoned(Kind::Watch), 0, &[&payload]);
        }
    }

    /// Ends the client's watches and transactions at the daemon.
    fn relay_forget(&mut self) {
        let Some(relay) = self.relay.as_mut() else { return };
        relay.events.clear();
        relay.waiting = 0;
        let watches = core::mem::take(&mut relay.watches);
        let transactions = core::mem::take(&mut relay.transactions);
        for (path, token) in watches {
            let payload = strings(&path, &marked(&token));
            let _ = self.send(Request::Abandoned(Kind::Unwatch), 0, &[&payload]);
        }
        for tx_id in transactions {
            let end = Request::Abandoned(Kind::TransactionEnd);
            let _ = self.send(end, tx_id, &[b"F\0"]);
        }
    }

    /// The client's ring is corrupt.
    fn relay_abandon(&mut self) {
        if let Some(relay) = self.relay.as_mut() {
            relay.give_up();
        }
        self.relay_leave();
    }

    /// Gives up everything that the client has at the daemon; outstanding replies are discarded.
    pub(in super::super) fn relay_leave(&mut self) {
        self.relay_forget();
        for request in self.requests.values_mut() {
            if let Request::Relayed(Relayed { kind, .. }) = request {
                *request = Request::Abandoned(*kind);
            }
        }
        if let Some(relay) = self.relay.as_mut() {
            relay.in_flight = 0;
        }
    }
}
