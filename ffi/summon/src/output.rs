//! The log: a line on standard error for each message, prefixed with its priority if systemd's journal reads it (a
//! number in angle brackets, sd-daemon(3)).

use log::{Level, LevelFilter, Log, Metadata, Record};
use std::io::Write;

struct Output {
    journal: bool,
}

/// Starts to log messages of this level and above.
pub fn begin(least: LevelFilter) {
    let output = Output { journal: std::env::var_os("JOURNAL_STREAM").is_some() };
    if log::set_boxed_logger(Box::new(output)).is_ok() {
        log::set_max_level(least);
    }
}

impl Log for Output {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) || !record.target().starts_with("mirust_summon") {
            return;
        }
        let (number, word) = match record.level() {
            Level::Error => (3, "error: "),
            Level::Warn => (4, "warning: "),
            Level::Info => (6, ""),
            Level::Debug | Level::Trace => (7, "debug: "),
        };
        // Quoted output of other programs must not look like further lines.
        let text = record.args().to_string().replace(|c: char| c.is_control(), " ");
        let line =
            if self.journal { format!("<{number}>{text}\n") } else { format!("{word}{text}\n") };
        // There is no one to tell if this fails.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}
