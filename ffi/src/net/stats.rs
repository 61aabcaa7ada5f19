//! Figures: of one connection, of the stack, and of what was copied on the way.

use std::cell::Cell;

use super::Error;
use crate::time::Duration;

/// A field that OCaml has as an integer.
trait Figure {
    fn from_number(n: i64) -> Self;
}

/// OCaml's `max_int`, which stands for "not known" and "without a limit".
const NONE: i64 = i64::MAX >> 1;

impl Figure for u64 {
    fn from_number(n: i64) -> u64 {
        n.max(0) as u64
    }
}

impl Figure for Option<u64> {
    fn from_number(n: i64) -> Option<u64> {
        (n < NONE).then(|| u64::from_number(n))
    }
}

impl Figure for bool {
    fn from_number(n: i64) -> bool {
        n != 0
    }
}

impl Figure for Duration {
    fn from_number(n: i64) -> Duration {
        Duration::from_nanos(u64::from_number(n))
    }
}

impl Figure for Option<Duration> {
    fn from_number(n: i64) -> Option<Duration> {
        (n < NONE).then(|| Duration::from_number(n))
    }
}

impl Figure for TcpState {
    fn from_number(n: i64) -> TcpState {
        let known = usize::try_from(n).ok().and_then(|n| STATES.get(n));
        known.copied().unwrap_or(TcpState::Closed)
    }
}

/// By their numbers in `ocaml-stubs/net/tcp/block.ml`; none while there is a connection.
const ENDINGS: [Error; 6] =
    [Error::Closed, Error::Refused, Error::Reset, Error::TimedOut, Error::NoRoute, Error::Aborted];

impl Figure for Option<Error> {
    fn from_number(n: i64) -> Option<Error> {
        let ending = usize::try_from(n).ok()?.checked_sub(1)?;
        ENDINGS.get(ending).cloned()
    }
}

/// A structure whose fields are those of an OCaml record, in its order.
macro_rules! figures {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$outer])*
        #[derive(Clone, PartialEq, Eq, Debug)]
        #[non_exhaustive]
        pub struct $name { $($(#[$doc])* pub $field: $type,)* }

        impl $name {
            const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];

            /// Of the fields of the record.
            pub(super) fn from_numbers(numbers: [i64; Self::FIELDS.len()]) -> Self {
                let mut numbers = numbers.into_iter();
                // As many as there are fields.
                let mut next = || numbers.next().unwrap_or_default();
                $name { $($field: Figure::from_number(next()),)* }
            }
        }
    };
}

/// The same for a record of counters, which can be listed.
macro_rules! counters {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $field:ident,)* }) => {
        figures! { $(#[$outer])* $name { $($(#[$doc])* $field: u64,)* } }

        impl $name {
            /// The figures, by their names.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($field), self.$field)),*].into_iter()
            }
        }
    };
}

/// The states of RFC 9293 section 3.3.2 but LISTEN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum TcpState {
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
    Closed,
}

/// By their numbers in `ocaml-stubs/net/tcp/block.ml`.
const STATES: [TcpState; 10] = [
    TcpState::SynSent,
    TcpState::SynReceived,
    TcpState::Established,
    TcpState::FinWait1,
    TcpState::FinWait2,
    TcpState::CloseWait,
    TcpState::Closing,
    TcpState::LastAck,
    TcpState::TimeWait,
    TcpState::Closed,
];

figures! {
    /// The state of a connection, as shown by `ss -i`; see [`TcpStream::info`](super::TcpStream::info).
    TcpInfo {
        /// Smoothed round-trip time (RFC 6298); zero before the first measurement.
        rtt: Duration,
        /// Its variation.
        rtt_var: Duration,
        /// The shortest measured recently.
        min_rtt: Option<Duration>,
        /// Retransmission timeout, back-off included.
        rto: Duration,
        /// Congestion window, in bytes.
        cwnd: u64,
        /// Slow start threshold, in bytes; none before the first loss.
        ssthresh: Option<u64>,
        /// Bytes of payload in one packet that is sent, without TCP options.
        mss: u64,
        /// Bytes believed to be in the network.
        in_flight: u64,
        /// Bytes written and not yet sent.
        unsent: u64,
        /// Bytes that the peer has room for.
        send_window: u64,
        /// Bytes that the peer may send.
        receive_window: u64,
        /// Bytes that may be written and not yet acknowledged.
        send_buffer: u64,
        /// Bytes that may be received and not yet read.
        receive_buffer: u64,
        /// Segments retransmitted.
        retransmits: u64,
        /// Bytes that the peer has acknowledged.
        octets_acked: u64,
        /// Bytes received in order.
        octets_received: u64,
        /// Segments that arrived.
        segments_in: u64,
        /// Segments sent, of the size that the network sees.
        segments_out: u64,
        /// Bytes of payload sent, including retransmissions.
        octets_sent: u64,
        /// Those among them that were retransmissions.
        octets_retransmitted: u64,
        /// Bytes believed lost, and not yet retransmitted.
        lost: u64,
        /// Bytes that the peer has behind a gap (RFC 2018).
        sacked: u64,
        /// Bytes received in order and not yet taken by the reader.
        unread: u64,
        /// Bytes received behind a gap.
        out_of_order: u64,
        /// Bytes that a packet on the path carries, TCP options included.
        path_mss: u64,
        /// Bytes in a full segment of the peer's, as observed.
        receive_mss: u64,
        /// Timestamps are in use (RFC 7323).
        timestamps: bool,
        /// Selective acknowledgements are in use (RFC 2018).
        selective_acks: bool,
        /// Explicit congestion notification is in use (RFC 3168).
        ecn: bool,
        /// A loss is being recovered from.
        recovering: bool,
        /// The state.
        state: TcpState,
        /// Why the connection has ended: [`Error::Closed`] after an orderly end.
        ended: Option<Error>,
    }
}

counters! {
    /// Counters of all connections since the stack was started, as shown by `netstat -s`.
    TcpStats {
        /// Segments received with a correct checksum.
        segments_in,
        /// Segments sent, of the size that the network sees.
        segments_out,
        /// Bytes of payload that arrived in order.
        octets_in,
        /// Bytes of payload sent, including retransmissions.
        octets_out,
        /// Connections that we opened.
        active_opens,
        /// Connections that were accepted.
        passive_opens,
        /// Handshakes that failed.
        failed_attempts,
        /// Resets that ended a connection.
        resets_in,
        /// Resets sent.
        resets_out,
        /// Segments retransmitted.
        retransmits,
        /// Retransmission timeouts.
        timeouts,
        /// Tail loss probes (RFC 8985).
        tail_probes,
        /// Losses recovered from without a timeout.
        recoveries,
        /// Recoveries that turned out to be unnecessary, and were undone.
        undos,
        /// Reports that something was received twice (RFC 2883).
        dsacks_in,
        /// Challenge acknowledgements sent (RFC 5961).
        challenge_acks,
        /// Segments dropped for an old timestamp (RFC 7323).
        paws_drops,
        /// Segments dropped because they were outside the window.
        out_of_window,
        /// Segments dropped because they could not be parsed.
        malformed,
        /// Segments dropped for their checksum.
        bad_checksum,
        /// Segments that belonged to no connection and no listener.
        no_connection,
        /// Connection requests that found the backlog full.
        listen_overflows,
        /// SYN cookies sent.
        cookies_sent,
        /// Valid SYN cookies received.
        cookies_ok,
        /// Acknowledgements that were not a valid cookie.
        cookies_bad,
        /// Segments dropped for want of memory.
        memory_drops,
        /// Connections that left TIME-WAIT before its end, for others.
        time_wait_dropped,
        /// Connections given up because keepalive probes were not answered.
        keepalive_drops,
        /// Packets marked as having met congestion (RFC 3168).
        ecn_marks_in,
        /// Bytes of payload retransmitted.
        octets_retransmitted,
        /// Established connections that a reset ended, from either side.
        established_resets,
        /// Connections given up for want of an answer.
        given_up,
        /// Window probes sent.
        window_probes,
        /// Keepalive probes sent.
        keepalives_sent,
        /// Delayed acknowledgements that were not carried by data.
        delayed_acks,
        /// Segments of which all was received before.
        duplicates_in,
        /// Segments that arrived ahead of a gap.
        out_of_order_in,
        /// Idle connections that were reset to make room for others.
        evicted,
    }
}

counters! {
    /// Counters of UDP since the stack was started.
    UdpStats {
        /// Datagrams for a port with a listener.
        received,
        /// Datagrams dropped because they could not be parsed.
        malformed,
        /// Datagrams dropped for their checksum.
        bad_checksum,
        /// Datagrams for a port without a listener.
        unlistened,
        /// Datagrams sent.
        sent,
    }
}

counters! {
    /// Current values, and what concerns Rust only.
    Gauges {
        /// Connections in any state, including TIME-WAIT.
        connections,
        /// Bytes that all connections hold.
        memory,
        /// Datagrams dropped because a [`UdpSocket`](super::UdpSocket) had too many that were not
        /// received.
        datagrams_dropped,
    }
}

/// The stack's counters; see [`stats`](super::stats()).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// All connections, including OCaml's.
    pub tcp: TcpStats,
    /// All datagrams.
    pub udp: UdpStats,
    /// Current values.
    pub now: Gauges,
}

/// Bytes copied between Rust and the stack since boot; see [`copied`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Copied {
    /// From received buffers into the caller's: `read`, `recv_from`, and what is built on them.
    pub received: u64,
    /// From the caller's slices into memory that the stack keeps: `write`, `send_to`, and what is built
    /// on them.
    pub sent: u64,
}

crate::local::domain_local! {
    static RECEIVED: Cell<u64> = const { Cell::new(0) };
    static SENT: Cell<u64> = const { Cell::new(0) };
}

/// Bytes copied between Rust and the stack since boot.
pub fn copied() -> Copied {
    Copied { received: RECEIVED.get(), sent: SENT.get() }
}

pub(super) fn count_received(bytes: usize) {
    RECEIVED.set(RECEIVED.get() + bytes as u64);
}

pub(super) fn count_sent(bytes: usize) {
    SENT.set(SENT.get() + bytes as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in an OCaml record type, or those of a variant's constructors.
    fn names(source: &str, from: &str, to: &str, separator: char) -> Vec<String> {
        let (_, rest) = source.split_once(from).expect("the type");
        let (fields, _) = rest.split_once(to).expect("its end");
        fields
            .split(separator)
            .map(|field| {
                let field = field.rsplit("*)").next().unwrap_or(field);
                let name = field.split(':').next().unwrap_or(field).trim();
                name.trim_start_matches("mutable ").to_owned()
            })
            .filter(|name| !name.is_empty())
            .collect()
    }

    #[test]
    fn fields_are_those_of_ocaml() {
        let info = include_str!("../../../ocaml-stubs/net/tcp/info.ml");
        let tcp = include_str!("../../../ocaml-stubs/net/tcp/stats.ml");
        let udp = include_str!("../../../ocaml-stubs/net/tcpip/udp.ml");
        let rust = include_str!("../../../ocaml-stubs/rust/mirust_rust.ml");
        assert_eq!(names(info, "type t = {", "}", ';'), TcpInfo::FIELDS);
        assert_eq!(names(tcp, "type t = {", "}", ';'), TcpStats::FIELDS);
        assert_eq!(names(udp, "type counters = {", "}", ';'), UdpStats::FIELDS);
        assert_eq!(names(rust, "type gauges = {", "}", ';'), Gauges::FIELDS);
    }

    #[test]
    fn states_are_those_of_ocaml() {
        let block = include_str!("../../../ocaml-stubs/net/tcp/block.ml");
        let theirs = names(block, "type state =", "\n\n", '|');
        let theirs: Vec<String> =
            theirs.iter().map(|name| name.replace('_', "").to_lowercase()).collect();
        let ours: Vec<String> = STATES.iter().map(|s| format!("{s:?}").to_lowercase()).collect();
        assert_eq!(theirs, ours);
    }

    #[test]
    fn endings_are_those_of_ocaml() {
        let block = include_str!("../../../ocaml-stubs/net/tcp/block.ml");
        let theirs = names(block, "type ending =", "\ntype", '|');
        let ours = [
            "Not_ended",
            "Closed_in_order",
            "Refused",
            "Reset",
            "Timed_out",
            "Aborted",
            "No_route",
        ];
        assert_eq!(theirs, ours);
        let ended: Vec<Option<Error>> = (0..8).map(Figure::from_number).collect();
        assert_eq!(ended[0], None);
        assert_eq!(ended[1..7], ENDINGS.map(Some));
        assert_eq!(ended[7], None);
    }

    #[test]
    fn numbers_become_figures() {
        let mut numbers = [0; TcpInfo::FIELDS.len()];
        numbers[0] = 1_500;
        numbers[2] = NONE;
        numbers[4] = 42;
        let info = TcpInfo::from_numbers(numbers);
        assert_eq!(info.rtt, Duration::from_nanos(1_500));
        assert_eq!((info.min_rtt, info.cwnd, info.ssthresh), (None, 42, Some(0)));
    }
}
