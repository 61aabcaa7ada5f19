//! The configuration: which domain serves what, and where. It is read from TOML and checked as a whole, so that all
//! faults are reported at once, each with its line and its remedy.

mod check;
mod plan;
mod raw;
mod time;

pub use check::presence;
pub use plan::{Asleep, Config, Fault, General, Place, Plan, Protocol, Way};

/// Reads a configuration.
///
/// # Errors
///
/// All faults, in the order of their lines. If the file is not TOML, or a value has the wrong type, only the first
/// fault is reported.
pub fn parse(text: &str) -> Result<Config, Vec<Fault>> {
    let raw = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| plan::line(text, span.start));
        vec![Fault { line, what: raw::explain(&error) }]
    })?;
    let mut checker = check::Checker::new(text);
    let config = checker.config(raw);
    checker.done(config)
}

#[cfg(test)]
mod tests;
