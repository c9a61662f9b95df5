//! Logs on stderr: one line an event, with fields.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// Form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// The log filter is not one.
#[derive(Debug, thiserror::Error)]
#[error("--log-level {level:?} is not a log filter such as info or pai_operator=debug: {why}")]
pub struct InvalidLogLevel {
    level: String,
    why: String,
}

/// Starts logging. `level` is a level, or a filter as tracing takes it.
pub fn init(format: LogFormat, level: &str) -> Result<(), InvalidLogLevel> {
    let invalid = |why: String| InvalidLogLevel { level: level.to_owned(), why };
    let filter = EnvFilter::try_new(level).map_err(|error| invalid(error.to_string()))?;
    // Colours are for a terminal: in a file they are noise.
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(std::io::stderr().is_terminal());
    let lines = lines.with_writer(std::io::stderr);
    match format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
        LogFormat::Text => lines.try_init(),
    }
    .map_err(|error| invalid(error.to_string()))
}
