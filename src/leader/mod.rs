//! Leadership as a value with an expiry. It keeps the work in one place; the guarantee that nothing is bought twice is the
//! compare-and-swap of the intent, not this.

mod election;
#[cfg(test)]
mod tests;

pub use election::{Election, Settings, Stepdown};

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Whether this process leads, and until when. Clones see the same truth.
#[derive(Clone, Debug)]
pub struct Leadership {
    expires: watch::Receiver<Option<Instant>>,
}

impl Leadership {
    /// A leadership that is told by `expires`: `Some` with its end while held, `None` while not.
    pub fn new(expires: watch::Receiver<Option<Instant>>) -> Self {
        Self { expires }
    }

    /// Whether leadership is held and outlasts `span`, counted from the moment the last renewal was *sent*.
    pub fn valid_for(&self, span: Duration) -> bool {
        self.expires.borrow().is_some_and(|end| Instant::now() + span < end)
    }

    /// Whether leadership is not held (any more).
    pub fn is_lost(&self) -> bool {
        !self.valid_for(Duration::ZERO)
    }

    /// Waits until leadership is held. Never returns if the election has ended without it.
    pub async fn acquired(&mut self) {
        if self.expires.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
