//! Time and randomness, handed in to whatever needs them. The only place that reads a clock; no other module may.
//!
//! In tests the runtime's clock is paused and the wall clock follows it, so that hours pass in milliseconds and every
//! run repeats from its seed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// Source of wall time, monotonic time and random numbers. Clones share one source.
#[derive(Clone, Debug)]
pub struct Clock {
    wall: Wall,
    random: Arc<Mutex<fastrand::Rng>>,
}

#[derive(Clone, Copy, Debug)]
enum Wall {
    System,
    /// A wall clock that started at `base` when the monotonic clock stood at `origin`.
    Simulated {
        base: Timestamp,
        origin: Instant,
    },
}

impl Clock {
    /// The machine's clock, with randomness from the operating system.
    pub fn system() -> Self {
        Self { wall: Wall::System, random: Arc::new(Mutex::new(fastrand::Rng::new())) }
    }

    /// A wall clock that starts at `base` and moves with the runtime's (paused) clock; randomness from `seed`.
    pub fn simulated(base: Timestamp, seed: u64) -> Self {
        let wall = Wall::Simulated { base, origin: Instant::now() };
        Self { wall, random: Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))) }
    }

    /// The wall clock: for signatures, conditions and comparisons with the cloud's times.
    #[allow(clippy::disallowed_methods)] // the one place that may
    pub fn now(&self) -> Timestamp {
        match self.wall {
            Wall::System => Timestamp::now(),
            Wall::Simulated { base, origin } => base + origin.elapsed(),
        }
    }

    /// The monotonic clock: for deadlines and gates. It never steps.
    pub fn monotonic(&self) -> Instant {
        Instant::now()
    }

    /// A random number of 64 bits. Not for secrets.
    pub fn random(&self) -> u64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).u64(..)
    }

    /// `span` shortened by a random share of up to a fifth, so that many objects do not come due together.
    pub fn jittered(&self, span: Duration) -> Duration {
        let share = (self.random() % 1000) as u32;
        span.saturating_sub(span * share / 5000)
    }
}
