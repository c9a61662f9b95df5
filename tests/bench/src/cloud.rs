//! The stand-in cloud's journal: every call with its time of arrival. Must be read in pieces, as it grows long.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use pai_harness::Simulator;
use serde_json::Value;

use crate::Error;

/// Wait before each answer, as the bars ask. Source: issue 5: what a cloud in the same country takes.
pub const LATENCY: Duration = Duration::from_millis(60);

/// Arguments of the stand-in cloud in every scenario. Rate limits are on, which is its default; said for the report.
pub const ARGUMENTS: [&str; 3] = ["--boot-time=2s", "--rate-limits=on", "--latency=60ms"];

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// When it had arrived in full.
    pub time: Timestamp,
    /// `X-TC-Action`.
    pub action: String,
    /// `ok` or the error code.
    pub outcome: String,
    /// As they were sent.
    pub parameters: Value,
    /// Ids of the machines that it made.
    pub created: Vec<String>,
}

impl Call {
    /// Reads an entry of the page `calls`.
    pub fn read(entry: &Value) -> Option<Self> {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            time: text("time")?.parse().ok()?,
            action: text("action")?,
            outcome: text("outcome")?,
            parameters: entry.get("parameters").cloned().unwrap_or_default(),
            created: strings(entry.get("created")).into_iter().map(str::to_owned).collect(),
        })
    }

    /// Whether it was carried out.
    pub fn is_ok(&self) -> bool {
        self.outcome == "ok"
    }

    /// Whether it asks for a list of ids, as sweeps do.
    pub fn describes_ids(&self) -> bool {
        self.action == "DescribeInstances" && !self.ids().is_empty()
    }

    /// `InstanceIds`.
    pub fn ids(&self) -> Vec<&str> {
        strings(self.parameters.get("InstanceIds"))
    }

    /// `DomainName`.
    pub fn domain(&self) -> Option<&str> {
        self.parameters.get("DomainName").and_then(Value::as_str)
    }

    /// The values of all filters.
    pub fn filter_values(&self) -> Vec<&str> {
        let filters = self.parameters.get("Filters").and_then(Value::as_array).into_iter().flatten();
        filters.flat_map(|filter| strings(filter.get("Values"))).collect()
    }
}

fn strings(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A reader of the journal that shows each call once.
#[derive(Debug)]
pub struct Journal<'a> {
    simulator: &'a Simulator,
    read: u64,
}

impl<'a> Journal<'a> {
    /// Begins with the next call.
    pub fn from_now(simulator: &'a Simulator) -> Result<Self, Error> {
        let counts = counts(simulator)?;
        // Numbers have no gaps, so the sum of all counts is the number of the last call.
        Ok(Self { simulator, read: counts.values().flat_map(BTreeMap::values).sum() })
    }

    /// The calls since the last look, in order.
    pub fn new_calls(&mut self) -> Result<Vec<Call>, Error> {
        let entries = self.simulator.calls_since(self.read)?;
        if let Some(last) = entries.last().and_then(|entry| entry.get("seq")?.as_u64()) {
            self.read = last;
        }
        Ok(entries.iter().filter_map(Call::read).collect())
    }
}

/// Calls so far, by action and outcome.
pub fn counts(simulator: &Simulator) -> Result<BTreeMap<String, BTreeMap<String, u64>>, Error> {
    let state = simulator.state()?;
    let counts = state.get("calls").cloned().unwrap_or_default();
    serde_json::from_value(counts).map_err(crate::while_doing("reading the calls of the stand-in cloud"))
}

/// All calls, and those that the cloud refused because there were too many.
pub fn total_and_refused(counts: &BTreeMap<String, BTreeMap<String, u64>>) -> (u64, u64) {
    let outcomes = || counts.values().flatten();
    let refused = outcomes().filter(|(code, _)| code.starts_with("RequestLimitExceeded"));
    (outcomes().map(|(_, count)| count).sum(), refused.map(|(_, count)| count).sum())
}

/// Machines beyond one for each domain, in all that was ever bought.
pub fn duplicates<'a>(calls: impl IntoIterator<Item = &'a Call>) -> usize {
    let mut bought: BTreeMap<&str, usize> = BTreeMap::new();
    for call in calls {
        if let Some(domain) = call.domain().filter(|_| call.action == "CreatePaiInstance") {
            *bought.entry(domain).or_default() += call.created.len();
        }
    }
    bought.values().map(|count| count.saturating_sub(1)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bought(domain: &str, ids: &[&str]) -> Call {
        let entry = json!({
            "seq": 1, "time": "2026-11-26T10:00:00.123456789Z", "action": "CreatePaiInstance", "outcome": "ok",
            "parameters": {"DomainName": domain}, "created": ids,
        });
        Call::read(&entry).unwrap()
    }

    #[test]
    fn times_are_read_to_the_nanosecond() {
        assert_eq!(bought("a", &[]).time.subsec_nanosecond(), 123_456_789);
    }

    #[test]
    fn machines_beyond_the_first_of_a_domain_are_duplicates() {
        let calls = [bought("a", &["1"]), bought("b", &["2"]), bought("a", &["3"]), bought("c", &[])];
        assert_eq!(duplicates(&calls), 1);
        assert_eq!(duplicates(&[bought("a", &["1", "2", "3"])]), 2);
        assert_eq!(duplicates(&calls[..2]), 0);
    }

    #[test]
    fn refusals_for_the_rate_are_counted_with_all_their_sub_codes() {
        let counts = json!({
            "A": {"ok": 5, "RequestLimitExceeded": 2, "RequestLimitExceeded.UinLimitExceeded": 1},
            "B": {"InternalError": 4},
        });
        assert_eq!(total_and_refused(&serde_json::from_value(counts).unwrap()), (12, 3));
    }
}
