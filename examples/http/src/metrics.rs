//! The server's counters, for Prometheus.

use std::cell::Cell;
use std::fmt;

/// Counters and gauges.
#[derive(Default)]
pub struct Metrics {
    connections: Cell<usize>,
    accepted: Cell<u64>,
    requests: Cell<u64>,
}

impl Metrics {
    /// Counts a connection.
    pub fn accepted(&self) {
        self.accepted.set(self.accepted.get() + 1);
    }

    /// Sets the number of open connections.
    pub fn open(&self, connections: usize) {
        self.connections.set(connections);
    }

    /// Counts a request.
    pub fn request(&self) {
        self.requests.set(self.requests.get() + 1);
    }
}

/// One metric in Prometheus's text format.
fn row(f: &mut fmt::Formatter<'_>, name: &str, kind: &str, help: &str, value: u64) -> fmt::Result {
    writeln!(f, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}")
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let poll = mirust::stats();
        let copied = mirust::net::copied();
        let rows = [
            ("http_connections", "gauge", "open connections", self.connections.get() as u64),
            ("http_connections_total", "counter", "accepted connections", self.accepted.get()),
            ("http_requests_total", "counter", "requests", self.requests.get()),
            ("net_received_copied_bytes_total", "counter", "copied by Rust", copied.received),
            ("net_sent_copied_bytes_total", "counter", "copied by Rust", copied.sent),
            ("poll_turns_total", "counter", "turns of the domain poll", poll.polls),
            ("poll_blocks_total", "counter", "times the domain slept", poll.blocks),
            ("task_turns_total", "counter", "turns of Rust tasks", poll.tasks_run),
        ];
        for (name, kind, help, value) in rows {
            row(f, name, kind, help, value)?;
        }
        let Ok(stack) = mirust::net::stats() else { return Ok(()) };
        row(f, "tcp_connections", "gauge", "of OCaml and of Rust", stack.now.connections)?;
        row(f, "tcp_memory_bytes", "gauge", "held by all connections", stack.now.memory)?;
        for (name, value) in stack.tcp.iter() {
            let help = name.replace('_', " ");
            row(f, &format!("tcp_{name}_total"), "counter", &help, value)?;
        }
        Ok(())
    }
}
