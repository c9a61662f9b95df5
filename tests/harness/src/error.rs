//! What can go wrong in the harness, worded for the person who reads a failed test.
//! Must not hide what a program printed: that is usually the cause.

use std::fmt;
use std::io;

/// A failure of the local stack.
///
/// `Debug` prints the same text as `Display`, because a test shows it through `unwrap`.
#[derive(thiserror::Error)]
pub enum Error {
    /// Reading, writing or starting something failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The reason the system gave.
        #[source]
        source: io::Error,
    },
    /// A program ended with another exit code than 0.
    #[error("`{command}` ended with code {code}\n{output}")]
    Command {
        /// The command line, shortened.
        command: String,
        /// Its exit code, or -1 where a signal ended it.
        code: i32,
        /// What it printed.
        output: String,
    },
    /// A condition did not hold in time.
    #[error("waited {seconds} s for {what}; last seen: {seen}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long, in seconds.
        seconds: u64,
        /// What the last look showed.
        seen: String,
    },
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Error {
    /// Wraps an error of the system with what was being done.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

impl From<String> for Error {
    fn from(text: String) -> Self {
        Self::Other(text)
    }
}
