//! Gets counters from the stack.

use super::stats::{Gauges, Stats, TcpStats, UdpStats};
use super::{Error, serve};
use crate::ocaml::view;

/// What the stack has counted since it began. For one connection there is
/// [`TcpStream::info`](super::TcpStream::info).
///
/// # Errors
///
/// [`Error::Unavailable`].
pub fn stats() -> Result<Stats, Error> {
    let figures = serve::figures()?;
    Ok(Stats {
        tcp: TcpStats::from_numbers(serve::call(&figures.tcp, ((),), view::numbers)?),
        udp: UdpStats::from_numbers(serve::call(&figures.udp, ((),), view::numbers)?),
        now: Gauges::from_numbers(serve::call(&figures.gauges, ((),), view::numbers)?),
    })
}
