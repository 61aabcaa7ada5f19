//! Options of sockets.
//!
//! Whatever a program sets is stored, and reported as Linux reports it. These have no effect: buffer sizes, as the
//! stack sizes its own by the connection and the domain's memory; types of service; reuse of addresses, as a port is
//! free again as soon as its listener is closed; requests for control data, of which there is none; quick
//! acknowledgements, as the stack decides on these itself; and multicast options, as there is no multicast (joining a
//! group is refused).

use core::cell::Cell;

/// What `setsockopt` has set.
pub struct Options {
    /// `TCP_NODELAY`.
    pub nodelay: Cell<bool>,
    /// `SO_KEEPALIVE`.
    pub keepalive: Cell<bool>,
    /// `TCP_KEEPIDLE`: seconds of silence before the first probe.
    pub keep_idle: Cell<u32>,
    /// `TCP_KEEPINTVL`: seconds between probes.
    pub keep_interval: Cell<u32>,
    /// `TCP_KEEPCNT`: probes without an answer.
    pub keep_count: Cell<u32>,
    /// `TCP_USER_TIMEOUT` in milliseconds; 0 is the stack's own.
    pub user_timeout: Cell<u32>,
    /// `SO_LINGER` in seconds. With 0, closing resets the connection; with more it does not wait.
    pub linger: Cell<Option<u32>>,
    /// `IP_TTL` and `IPV6_UNICAST_HOPS`; 0 is the stack's own.
    pub ttl: Cell<u8>,
    /// `IPV6_V6ONLY`.
    pub only_v6: Cell<bool>,
    /// `SO_RCVTIMEO` and `SO_SNDTIMEO` in nanoseconds; 0 is none.
    pub timeouts: [Cell<u64>; 2],
    pub(super) reuse_address: Cell<bool>,
    pub(super) reuse_port: Cell<bool>,
    pub(super) broadcast: Cell<bool>,
    pub(super) buffers: [Cell<u32>; 2],
    pub(super) service: Cell<u32>,
    pub(super) quick_acknowledgements: Cell<bool>,
    /// `IP_PKTINFO`, `IP_RECVTOS`, `IPV6_RECVPKTINFO` and `IPV6_RECVTCLASS`: no message says it, all the same.
    pub(super) wants: [Cell<bool>; 4],
    /// `IP_MULTICAST_TTL` and `IPV6_MULTICAST_HOPS`.
    pub(super) group_ttl: Cell<u8>,
    /// `IP_MULTICAST_LOOP` and `IPV6_MULTICAST_LOOP`.
    pub(super) group_loop: Cell<bool>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            nodelay: Cell::new(false),
            keepalive: Cell::new(false),
            keep_idle: Cell::new(7200),
            keep_interval: Cell::new(75),
            keep_count: Cell::new(9),
            user_timeout: Cell::new(0),
            linger: Cell::new(None),
            ttl: Cell::new(0),
            only_v6: Cell::new(false),
            timeouts: [Cell::new(0), Cell::new(0)],
            reuse_address: Cell::new(false),
            reuse_port: Cell::new(false),
            broadcast: Cell::new(false),
            // Linux's net.core.rmem_default and wmem_default.
            buffers: [Cell::new(212_992), Cell::new(212_992)],
            service: Cell::new(0),
            quick_acknowledgements: Cell::new(true),
            wants: [const { Cell::new(false) }; 4],
            group_ttl: Cell::new(1),
            group_loop: Cell::new(true),
        }
    }
}

impl Options {
    /// The limit of a blocking read, or write, in nanoseconds.
    pub fn time_limit(&self, reading: bool) -> Option<u64> {
        let limit = self.timeouts[usize::from(!reading)].get();
        (limit != 0).then_some(limit)
    }

    /// Takes over what a connection has of its listener.
    pub fn inherit(&self, listener: &Options) {
        self.nodelay.set(listener.nodelay.get());
        self.keepalive.set(listener.keepalive.get());
        self.keep_idle.set(listener.keep_idle.get());
        self.keep_interval.set(listener.keep_interval.get());
        self.keep_count.set(listener.keep_count.get());
        self.user_timeout.set(listener.user_timeout.get());
        self.linger.set(listener.linger.get());
    }
}
