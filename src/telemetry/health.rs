//! Health: is the process alive, and is it ready to do its part? A standby is ready too.

use std::sync::{Arc, Mutex};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::sight::{BLIND_AFTER, Sight};

/// What the probes ask.
#[derive(Debug, Default)]
pub struct Health {
    heard_from_api: Mutex<Option<Instant>>,
    leading: CancellationToken,
    sight: Arc<Sight>,
}

impl Health {
    /// The API server answered just now.
    pub fn heard_from_api(&self) {
        if let Ok(mut heard) = self.heard_from_api.lock() {
            *heard = Some(Instant::now());
        }
    }

    /// This process leads from now on, so that it must have listed the objects to be ready.
    pub fn leads(&self) {
        self.leading.cancel();
    }

    /// Where the watches tell what they see.
    pub fn sight(&self) -> Arc<Sight> {
        Arc::clone(&self.sight)
    }

    /// What is missing before the process is ready; empty if nothing is.
    pub fn missing(&self) -> Vec<&'static str> {
        let mut missing = Vec::new();
        let heard = self.heard_from_api.lock().ok().and_then(|heard| *heard);
        if heard.is_none_or(|heard| heard.elapsed() >= BLIND_AFTER) {
            missing.push("no answer from the API server about the Lease in the last 30 s");
        }
        if self.leading.is_cancelled() && !self.sight.is_listed() {
            missing.push("the PaiInstances are not listed yet: is the CustomResourceDefinition installed?");
        } else if self.sight.is_blind() {
            missing.push("the PaiInstances could not be watched for 30 s: was the CustomResourceDefinition removed?");
        }
        missing
    }
}
