//! Counters, served over HTTP in Prometheus' text format (version 0.0.4).

use crate::{
    domain::{
        Domain, State,
        counts::{Number, WAYS_TO_START},
    },
    fleet::Fleet,
};
use std::{fmt::Write, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::spawn_local,
    time::{sleep, timeout},
};

/// How many requests are served at a time; others wait.
const READERS: usize = 4;
/// The longest head of a request, in octets, and the longest time for a request and its response.
const HEAD: usize = 8192;
const PATIENCE: Duration = Duration::from_secs(10);

const REASONS: [&str; 4] = ["queue", "connections", "failed", "silent"];

/// A metric: its name, its kind, and its values.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    /// Further labels, each preceded by a comma, and the value.
    values: fn(&Domain) -> Vec<(String, f64)>,
}

/// A value without more labels.
fn one(value: f64) -> Vec<(String, f64)> {
    vec![(String::new(), value)]
}

/// Values that are told apart by a label.
fn by<'a>(label: &str, values: impl IntoIterator<Item = (&'a str, f64)>) -> Vec<(String, f64)> {
    values.into_iter().map(|(name, value)| (format!(",{label}=\"{name}\""), value)).collect()
}

fn by_start(domain: &Domain, value: fn(&(Number, Number)) -> f64) -> Vec<(String, f64)> {
    by(
        "how",
        WAYS_TO_START.iter().zip(&domain.counts.starts).map(|((_, how), of)| (*how, value(of))),
    )
}

const FAMILIES: [Family; 12] = [
    Family {
        name: "up",
        kind: "gauge",
        help: "1 while the domain is there",
        values: |domain| one(f64::from(u8::from(domain.is_up()))),
    },
    Family {
        name: "failing",
        kind: "gauge",
        help: "1 if the last start failed and nothing has been tried since",
        values: |domain| one(f64::from(u8::from(matches!(domain.state(), State::Failed { .. })))),
    },
    Family {
        name: "clients",
        kind: "gauge",
        help: "Current clients, including those that are held",
        values: |domain| one(domain.counts.open.get() as f64),
    },
    Family {
        name: "held",
        kind: "gauge",
        help: "Clients that are waiting for the domain to answer",
        values: |domain| one(domain.counts.held.get() as f64),
    },
    Family {
        name: "starts_total",
        kind: "counter",
        help: "Starts, by how",
        values: |domain| by_start(domain, |(count, _)| count.get() as f64),
    },
    Family {
        name: "start_seconds_total",
        kind: "counter",
        help: "Time that the toolstack took to start the domain, by how",
        values: |domain| by_start(domain, |(_, time)| time.get() as f64 / 1e6),
    },
    Family {
        name: "failures_total",
        kind: "counter",
        help: "Failed starts, including those without an answer, and other failed calls of xl",
        values: |domain| one(domain.counts.failures.get() as f64),
    },
    Family {
        name: "deaths_total",
        kind: "counter",
        help: "How often the domain ended by itself",
        values: |domain| one(domain.counts.deaths.get() as f64),
    },
    Family {
        name: "sleeps_total",
        kind: "counter",
        help: "How often the domain was put to sleep",
        values: |domain| one(domain.counts.sleeps.get() as f64),
    },
    Family {
        name: "refused_total",
        kind: "counter",
        help: "Refused clients, by reason",
        values: |domain| {
            by(
                "reason",
                REASONS.into_iter().zip(domain.counts.refused.iter().map(|n| n.get() as f64)),
            )
        },
    },
    Family {
        name: "octets_total",
        kind: "counter",
        help: "Octets relayed, by direction",
        values: |domain| {
            by(
                "direction",
                ["in", "out"].into_iter().zip(domain.counts.octets.iter().map(|n| n.get() as f64)),
            )
        },
    },
    Family {
        name: "dropped_datagrams_total",
        kind: "counter",
        help: "Datagrams that were dropped because too many were waiting",
        values: |domain| one(domain.counts.dropped.get() as f64),
    },
];

/// The metrics of all domains, as text.
pub fn text(fleet: &Fleet) -> String {
    let mut out = String::new();
    let domains = fleet.domains.borrow();
    for Family { name, kind, help, values } in FAMILIES {
        // Writing to a string does not fail.
        let _ =
            writeln!(out, "# HELP mirust_summon_{name} {help}\n# TYPE mirust_summon_{name} {kind}");
        for domain in domains.values() {
            for (labels, value) in values(domain) {
                let _ = writeln!(
                    out,
                    "mirust_summon_{name}{{domain=\"{}\"{labels}}} {value}",
                    domain.name()
                );
            }
        }
    }
    out
}

/// Serves the metrics. Never returns.
pub async fn serve(listener: TcpListener, fleet: Rc<Fleet>) {
    let readers = Arc::new(Semaphore::new(READERS));
    loop {
        let place = readers.clone().acquire_owned().await.expect("nobody closes it");
        match listener.accept().await {
            Ok((stream, peer)) => {
                let fleet = fleet.clone();
                spawn_local(async move {
                    // A client that sends no request, or does not read, is dropped.
                    let _ = timeout(PATIENCE, answer(stream, peer, &fleet)).await;
                    drop(place);
                });
            }
            Err(error) => {
                log::warn!("metrics: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// One request, one response.
async fn answer(mut stream: TcpStream, peer: SocketAddr, fleet: &Fleet) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut some = [0; 1024];
        let n = stream.read(&mut some).await?;
        if n == 0 || head.len() + n > HEAD {
            return Ok(());
        }
        head.extend_from_slice(&some[..n]);
    }
    let (status, body) = if head.starts_with(b"GET /metrics ") || head.starts_with(b"GET / ") {
        ("200 OK", text(fleet))
    } else {
        log::debug!("metrics: {peer} asks for something else");
        ("404 Not Found", "the metrics are at /metrics\n".into())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
