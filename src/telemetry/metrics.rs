//! Metrics in the OpenMetrics text form. No object names in labels: each would be a series of its own for ever.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use super::catalogue::{self, Described};
use crate::api::AttemptState;
use crate::tencent::{Action, CallError, Observer, Reply};

/// Upper ends of the buckets for calls and their waits, in seconds. Source: our choice: from a good answer to the deadline.
const CALL_BUCKETS: [f64; 10] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0];

/// Upper ends of the buckets for the time to Ready, in seconds. Source: our choice.
const READY_BUCKETS: [f64; 9] = [5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];

/// A label value from a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Word(&'static str);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.0, encoder)
    }
}

macro_rules! label_sets {
    ($($name:ident { $($label:ident),* })*) => {
        $(
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
            struct $name { $($label: Word),* }
        )*
    };
}

label_sets! {
    ByOutcome { outcome }
    ByAction { action }
    ByCall { action, outcome }
    ByReadiness { ready, reason }
    ByState { state }
    ByExpiry { expires_within }
    ByVersion { version }
}

/// How things stand at the moment, read when somebody asks for the metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Whether this process leads.
    pub leads: bool,
    /// Objects by status and reason of `Ready`.
    pub readiness: BTreeMap<(&'static str, &'static str), i64>,
    /// Objects by the state of their last attempt.
    pub attempts: BTreeMap<&'static str, i64>,
    /// Prepaid machines by the time until they expire.
    pub prepaid: BTreeMap<&'static str, i64>,
    /// Objects whose pass is due.
    pub queued: i64,
}

/// Takes the census.
type TakeCensus = Box<dyn Fn() -> Census + Send + Sync>;

type Histograms = Family<ByAction, Histogram, fn() -> Histogram>;

/// The counts of this process.
pub struct Metrics {
    registry: Registry,
    census: OnceLock<TakeCensus>,
    leader: Gauge,
    readiness: Family<ByReadiness, Gauge>,
    attempts: Family<ByState, Gauge>,
    prepaid: Family<ByExpiry, Gauge>,
    queued: Gauge,
    passes: Family<ByOutcome, Counter>,
    time_to_ready: Histogram,
    creates: Family<ByOutcome, Counter>,
    terminations: Family<ByOutcome, Counter>,
    calls: Family<ByCall, Counter>,
    throttled: Family<ByAction, Counter>,
    call_seconds: Histograms,
    wait_seconds: Histograms,
    sweeps: Counter,
    swept_at: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let by_call: fn() -> Histogram = || Histogram::new(CALL_BUCKETS);
        let mut all = Self {
            registry: Registry::with_prefix(catalogue::PREFIX),
            census: OnceLock::new(),
            leader: Gauge::default(),
            readiness: Family::default(),
            attempts: Family::default(),
            prepaid: Family::default(),
            queued: Gauge::default(),
            passes: Family::default(),
            time_to_ready: Histogram::new(READY_BUCKETS),
            creates: Family::default(),
            terminations: Family::default(),
            calls: Family::default(),
            throttled: Family::default(),
            call_seconds: Family::new_with_constructor(by_call),
            wait_seconds: Family::new_with_constructor(by_call),
            sweeps: Counter::default(),
            swept_at: Gauge::default(),
        };
        all.register_all();
        all
    }
}

impl Metrics {
    fn register_all(&mut self) {
        let build: Family<ByVersion, Gauge> = Family::default();
        build.get_or_create(&ByVersion { version: Word(env!("CARGO_PKG_VERSION")) }).set(1);
        let registry = &mut self.registry;
        register(registry, catalogue::BUILD_INFO, build);
        register(registry, catalogue::LEADER, self.leader.clone());
        register(registry, catalogue::OBJECTS, self.readiness.clone());
        register(registry, catalogue::ATTEMPTS, self.attempts.clone());
        register(registry, catalogue::PREPAID, self.prepaid.clone());
        register(registry, catalogue::QUEUED, self.queued.clone());
        register(registry, catalogue::PASSES, self.passes.clone());
        register(registry, catalogue::TIME_TO_READY, self.time_to_ready.clone());
        register(registry, catalogue::CREATES, self.creates.clone());
        register(registry, catalogue::TERMINATIONS, self.terminations.clone());
        register(registry, catalogue::CALLS, self.calls.clone());
        register(registry, catalogue::THROTTLED, self.throttled.clone());
        register(registry, catalogue::CALL_SECONDS, self.call_seconds.clone());
        register(registry, catalogue::WAIT_SECONDS, self.wait_seconds.clone());
        register(registry, catalogue::SWEEPS, self.sweeps.clone());
        register(registry, catalogue::SWEPT_AT, self.swept_at.clone());
    }

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

    /// A machine got ready, so long after its create was sent.
    pub fn got_ready(&self, after: Duration) {
        self.time_to_ready.observe(after.as_secs_f64());
    }

    /// Counts a sweep of all settled machines.
    pub fn swept(&self, now: Timestamp) {
        self.sweeps.inc();
        self.swept_at.set(now.as_duration().as_secs_f64());
    }

    /// Takes what `census` says whenever somebody asks.
    pub fn show(&self, census: impl Fn() -> Census + Send + Sync + 'static) {
        let _ = self.census.set(Box::new(census));
    }

    /// All metrics as text.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        if let Some(census) = self.census.get() {
            self.take(&census());
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn take(&self, census: &Census) {
        self.leader.set(i64::from(census.leads));
        self.queued.set(census.queued);
        // What is no more must not stand there for ever.
        self.readiness.clear();
        for (&(ready, reason), &count) in &census.readiness {
            self.readiness.get_or_create(&ByReadiness { ready: Word(ready), reason: Word(reason) }).set(count);
        }
        self.attempts.clear();
        for (&state, &count) in &census.attempts {
            self.attempts.get_or_create(&ByState { state: Word(state) }).set(count);
        }
        self.prepaid.clear();
        for (&within, &count) in &census.prepaid {
            self.prepaid.get_or_create(&ByExpiry { expires_within: Word(within) }).set(count);
        }
    }
}

fn register(registry: &mut Registry, described: Described, metric: impl Metric) {
    registry.register(described.name, described.help, metric);
}

impl Observer for Metrics {
    fn called(&self, action: Action, error: Option<&CallError>, took: Duration) {
        let word = Word(action.name());
        let outcome = Word(error.map_or("ok", CallError::category));
        self.calls.get_or_create(&ByCall { action: word, outcome }).inc();
        self.call_seconds.get_or_create(&ByAction { action: word }).observe(took.as_secs_f64());
        if error.is_some_and(CallError::is_throttled) {
            self.throttled.get_or_create(&ByAction { action: word }).inc();
        }
    }

    fn waited(&self, action: Action, wait: Duration) {
        self.wait_seconds.get_or_create(&ByAction { action: Word(action.name()) }).observe(wait.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::telemetry::catalogue::{ALL, Kind, PREFIX};

    /// Metrics in which everything was counted once.
    fn full() -> Metrics {
        let metrics = Metrics::default();
        metrics.passed("ok");
        metrics.created(&AttemptState::Created);
        metrics.terminated(&Err(CallError::NotSent { reason: String::new() }));
        metrics.got_ready(Duration::from_secs(3));
        metrics.swept(Timestamp::UNIX_EPOCH);
        metrics.called(Action::DescribeInstances, None, Duration::from_millis(60));
        metrics.throttled.get_or_create(&ByAction { action: Word("DescribeInstances") }).inc();
        metrics.waited(Action::DescribeInstances, Duration::ZERO);
        metrics.show(|| Census {
            readiness: [(("True", "Available"), 2)].into(),
            attempts: [("Created", 2)].into(),
            prepaid: [("7d", 1)].into(),
            ..Census::default()
        });
        metrics
    }

    #[test]
    fn what_is_registered_is_what_the_catalogue_says() {
        let text = full().text().unwrap();
        let types: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let wanted: Vec<String> =
            ALL.iter().map(|metric| format!("{PREFIX}_{} {}", metric.name, metric.kind.name())).collect();
        assert_eq!(types, wanted.iter().map(String::as_str).collect());
        for metric in ALL {
            let name = metric.queried();
            let sample = if metric.kind == Kind::Histogram { format!("{name}_count") } else { name };
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("{sample}{{")) || line.starts_with(&format!("{sample} ")));
            let line = line.unwrap_or_else(|| panic!("{sample} has no sample:\n{text}"));
            for (label, _) in metric.labels {
                assert!(line.contains(&format!("{label}=\"")), "{line} has no label {label}");
            }
            assert_eq!(line.matches("=\"").count(), metric.labels.len(), "{line}");
        }
    }

    #[test]
    fn the_census_is_of_the_moment_and_leaves_nothing_behind() {
        let metrics = Metrics::default();
        let left = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&left);
        let there = || Census { leads: true, readiness: [(("False", "OutOfStock"), 1)].into(), ..Census::default() };
        metrics.show(move || if seen.load(Ordering::Relaxed) { Census::default() } else { there() });
        let shown = metrics.text().unwrap();
        assert!(shown.contains("pai_operator_leader 1\n"), "{shown}");
        assert!(shown.contains("pai_operator_paiinstances{ready=\"False\",reason=\"OutOfStock\"} 1\n"), "{shown}");
        left.store(true, Ordering::Relaxed);
        let shown = metrics.text().unwrap();
        assert!(shown.contains("pai_operator_leader 0\n"), "{shown}");
        assert!(!shown.contains("OutOfStock"), "{shown}");
    }
}
