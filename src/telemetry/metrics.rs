//! Metrics in the OpenMetrics text form. No object names in labels: each would be a series of its own for ever.

use std::sync::OnceLock;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::api::AttemptState;
use crate::leader::Leadership;
use crate::tencent::{CallError, Reply};

/// A label value from a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Word(&'static str);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.0, encoder)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: Word,
}

/// The counts of this process.
pub struct Metrics {
    registry: Registry,
    passes: Family<ByOutcome, Counter>,
    creates: Family<ByOutcome, Counter>,
    terminations: Family<ByOutcome, Counter>,
    leading: Gauge,
    leadership: OnceLock<Leadership>,
    sweeps: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("pai_operator");
        let passes = Family::default();
        let creates = Family::default();
        let terminations = Family::default();
        let leading = Gauge::default();
        registry.register("reconcile", "Passes over objects, by what they came to", passes.clone());
        registry.register("create", "CreatePaiInstance calls, by the state of their attempt", creates.clone());
        registry.register("terminate", "TerminateInstances calls, by what they came to", terminations.clone());
        let sweeps = Counter::default();
        registry.register("leader", "1 while this process leads", leading.clone());
        registry.register("cloud_watch_sweeps", "Sweeps of all settled machines that were done", sweeps.clone());
        Self { registry, passes, creates, terminations, leading, leadership: OnceLock::new(), sweeps }
    }
}

impl Metrics {
    /// Counts a pass.
    pub fn passed(&self, outcome: &'static str) {
        self.passes.get_or_create(&ByOutcome { outcome: Word(outcome) }).inc();
    }

    /// Counts a create by the state of its attempt.
    pub fn created(&self, state: &AttemptState) {
        let outcome = match state {
            AttemptState::Created => "created",
            AttemptState::Rejected => "rejected",
            _ => "unknown",
        };
        self.creates.get_or_create(&ByOutcome { outcome: Word(outcome) }).inc();
    }

    /// Counts a termination.
    pub fn terminated(&self, result: &Result<Reply<()>, CallError>) {
        let outcome = result.as_ref().err().map_or("accepted", CallError::category);
        self.terminations.get_or_create(&ByOutcome { outcome: Word(outcome) }).inc();
    }

    /// Counts a sweep of all settled machines.
    pub fn swept(&self) {
        self.sweeps.inc();
    }

    /// Shows this leadership from now on.
    pub fn show_leadership(&self, leadership: Leadership) {
        let _ = self.leadership.set(leadership);
    }

    /// All metrics as text.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        // As of now: nobody tells a process that was frozen, or that finishes its last purchase, when its lease runs out.
        let leads = self.leadership.get().is_some_and(|leadership| !leadership.is_lost());
        self.leading.set(i64::from(leads));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::watch;
    use tokio::time::{Instant, advance};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn leadership_is_shown_as_it_is_when_somebody_asks() {
        let metrics = Metrics::default();
        let shows =
            |value: &str| metrics.text().unwrap().lines().any(|line| line == format!("pai_operator_leader {value}"));
        assert!(shows("0"));
        let (expires, told) = watch::channel(None);
        metrics.show_leadership(Leadership::new(told));
        assert!(shows("0"));
        expires.send_replace(Some(Instant::now() + Duration::from_secs(15)));
        assert!(shows("1"));
        advance(Duration::from_secs(15)).await;
        assert!(shows("0"), "nobody had to say that it ended");
    }
}
