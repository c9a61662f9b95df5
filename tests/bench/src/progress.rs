//! Progress lines on standard error, with the time since the start. Must be sparse: whoever watches shall see that it
//! goes on, and the terminal shall cost nothing.

use std::io::Write;
use std::time::{Duration, Instant};

/// Pause between two lines about the same wait. Our choice.
const EVERY: Duration = Duration::from_secs(5);

/// Speaks for one scenario.
#[derive(Debug)]
pub struct Progress {
    scenario: &'static str,
    began: Instant,
    said: Option<Instant>,
}

impl Progress {
    /// From now on.
    pub fn of(scenario: &'static str) -> Self {
        Self { scenario, began: Instant::now(), said: None }
    }

    /// Says something.
    pub fn say(&mut self, text: &str) {
        self.said = Some(Instant::now());
        let seconds = self.began.elapsed().as_secs();
        let _ = writeln!(std::io::stderr(), "pai-bench: {:>10} {seconds:>5} s  {text}", self.scenario);
    }

    /// Says something unless the last word is less than five seconds old.
    pub fn sometimes(&mut self, text: impl FnOnce() -> String) {
        if self.said.is_none_or(|said| said.elapsed() >= EVERY) {
            self.say(&text());
        }
    }

    /// How long it has been going on.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}
