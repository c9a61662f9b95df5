//! Every call in order, for tests to compare, and counts per action. Holds parameters as received, passwords
//! included: it is shown on the admin pages only and never logged.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

/// Calls kept; older ones are forgotten, the counts stay. Our choice: some hundred megabytes at worst.
const KEPT: usize = 200_000;

/// One call as `GET calls` shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Number of the call, from 1, without gaps.
    pub seq: u64,
    /// When it arrived.
    pub time: Timestamp,
    /// Service of the credential scope, empty where it could not be read.
    pub service: String,
    /// `X-TC-Action`.
    pub action: String,
    /// `X-TC-Version`.
    pub version: String,
    /// `X-TC-Region`.
    pub region: String,
    /// Secret id of the credential scope, whether or not it is known.
    pub secret_id: String,
    /// `RequestId` of the answer, also where the answer was lost.
    pub request_id: String,
    /// Parameters; those of the GET form as typed JSON.
    pub parameters: Value,
    /// `ok`, the error code, or the kind of the fault.
    pub outcome: String,
    /// Ids of the machines that it made, also where the answer did not say so.
    pub created: Vec<String>,
}

/// The calls and their counts.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    calls: VecDeque<Call>,
    last: u64,
    counts: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Journal {
    /// Adds a call, whose `seq` is set here and returned.
    pub(crate) fn add(&mut self, mut call: Call) -> u64 {
        self.last += 1;
        call.seq = self.last;
        let outcomes = self.counts.entry(call.action.clone()).or_default();
        *outcomes.entry(call.outcome.clone()).or_default() += 1;
        self.calls.push_back(call);
        if self.calls.len() > KEPT {
            self.calls.pop_front();
        }
        self.last
    }

    /// Calls with a number above `seq`.
    pub(crate) fn since(&self, seq: u64) -> impl Iterator<Item = &Call> {
        // Numbers have no gaps, so the first one to show is found without a search.
        let first = self.calls.front().map_or(0, |call| call.seq);
        let skip = usize::try_from((seq + 1).saturating_sub(first)).unwrap_or(usize::MAX);
        self.calls.iter().skip(skip)
    }

    /// Notes machines that a call made after its entry was written.
    pub(crate) fn created_late(&mut self, seq: u64, ids: Vec<String>) {
        if let Some(call) = self.calls.iter_mut().rev().find(|call| call.seq == seq) {
            call.created = ids;
        }
    }

    /// Calls per action and outcome.
    pub(crate) fn counts(&self) -> &BTreeMap<String, BTreeMap<String, u64>> {
        &self.counts
    }
}
