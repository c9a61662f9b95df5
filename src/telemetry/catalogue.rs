//! The one list of all metrics: what is registered, what the documentation, the alerts and the dashboard may name.

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives; its name in a query ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets; its names in a query end in `_bucket`, `_sum` and `_count`.
    Histogram,
}

impl Kind {
    /// The word in the documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// The name after the prefix and before the suffix of its kind.
    pub name: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// Its labels with the values that they may have; all lists are closed.
    pub labels: &'static [(&'static str, &'static str)],
    /// What it says, as in the `HELP` line.
    pub help: &'static str,
}

impl Described {
    /// The name by which a query finds it; of a histogram the common part of its three names.
    pub fn queried(&self) -> String {
        let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("{PREFIX}_{}{suffix}", self.name)
    }
}

/// What all names begin with.
pub const PREFIX: &str = "pai_operator";

const OUTCOMES: &str = "`ok`, or why not: `refused`, `no_answer`, `garbled`, `not_sent`";
const ACTIONS: &str = "the cloud's action, such as `DescribeInstances`";

macro_rules! metrics {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal = $values:expr),*] $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: Described = Described {
            name: $name, kind: Kind::$kind, labels: &[$(($label, $values)),*], help: $help,
        };)*

        /// All metrics, in the order of the documentation.
        pub const ALL: &[Described] = &[$($constant),*];
    };
}

metrics! {
    BUILD_INFO: Gauge "build_info" ["version" = "the operator's version"]
        "Always 1; its label tells what runs";
    LEADER: Gauge "leader" []
        "1 while this process leads, else 0";
    OBJECTS: Gauge "paiinstances" ["ready" = "`True`, `False`, `Unknown`", "reason" = "the reason of `Ready`, or `None` before the first visit"]
        "PaiInstances by what their status says";
    ATTEMPTS: Gauge "create_attempts" ["state" = "as in `status.createAttempt.state`: `None`, `Sending`, `Created`, `Rejected`, `Uncertain`, `Held`, `Lapsed`, `Abandoned`, `Other`"]
        "PaiInstances by the state of their last attempt to buy";
    PREPAID: Gauge "prepaid_machines" ["expires_within" = "`expired`, `1d`, `7d`, `30d`, `later`"]
        "Prepaid machines by the time until they expire; each is in the first that fits";
    QUEUED: Gauge "queue_depth" []
        "Objects that wait for a pass that is due";
    PASSES: Counter "reconcile" ["outcome" = "`ok`, or the kind of failure, such as `conflict`"]
        "Passes over objects, by what they came to";
    TIME_TO_READY: Histogram "time_to_ready_seconds" []
        "From the sent create to Ready, of machines that this process saw get ready";
    CREATES: Counter "create" ["outcome" = "`created`, `rejected`, `unknown`"]
        "CreatePaiInstance calls, by what their attempt came to; each `created` is a bought machine";
    TERMINATIONS: Counter "terminate" ["outcome" = "`accepted`, or why not, as in cloud_calls"]
        "TerminateInstances calls, by what they came to";
    CALLS: Counter "cloud_calls" ["action" = ACTIONS, "outcome" = OUTCOMES]
        "Calls to the cloud that were made";
    THROTTLED: Counter "cloud_calls_throttled" ["action" = ACTIONS]
        "Calls that the cloud refused with RequestLimitExceeded";
    CALL_SECONDS: Histogram "cloud_call_duration_seconds" ["action" = ACTIONS]
        "From the first byte of a call to its answer or its failure";
    WAIT_SECONDS: Histogram "cloud_rate_limit_wait_seconds" ["action" = ACTIONS]
        "How long calls waited for their turn below the cloud's rate limits";
    SWEEPS: Counter "cloud_watch_sweeps" []
        "Sweeps of all settled machines that were done";
    SWEPT_AT: Gauge "cloud_watch_last_sweep_timestamp_seconds" []
        "When the last sweep was done, in seconds since 1970; 0 before the first";
}
