//! What `make up` remembers between two calls. Needs `/proc`. Must not take a later process for one
//! of ours.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};

use crate::operator::Leader;

/// What the person asked for. `None` keeps what the last `up` was told, until `down`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wishes {
    /// Address of the cloud for every service; empty for the stand-in cloud.
    pub cloud: Option<String>,
    /// `ID:KEY[:TOKEN]` for the credentials Secret.
    pub account: Option<String>,
    /// More arguments for the operator, separated by blanks.
    pub operator_args: Option<String>,
    /// More arguments for the stand-in cloud, separated by blanks.
    pub simulator_args: Option<String>,
}

impl Wishes {
    /// Reads `CLOUD`, `CLOUD_ACCOUNT`, `OPERATOR_ARGS` and `SIMULATOR_ARGS`.
    pub fn from_env() -> Self {
        let read = |name: &str| std::env::var(name).ok();
        Self {
            cloud: read("CLOUD"),
            account: read("CLOUD_ACCOUNT"),
            operator_args: read("OPERATOR_ARGS"),
            simulator_args: read("SIMULATOR_ARGS"),
        }
    }

    pub(super) fn or(self, before: Self) -> Self {
        Self {
            cloud: self.cloud.or(before.cloud),
            account: self.account.or(before.account),
            operator_args: self.operator_args.or(before.operator_args),
            simulator_args: self.simulator_args.or(before.simulator_args),
        }
    }
}

/// A process of the stack. The start time tells it from a later process with its number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Known {
    pub pid: u32,
    pub born: String,
}

/// `target/local/state.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub ports: BTreeMap<String, u16>,
    pub processes: BTreeMap<String, Known>,
    pub wishes: Wishes,
    pub operator_args: Vec<String>,
    /// By what the running operator is known as the leader.
    #[serde(default)]
    pub leader: Option<Leader>,
}

/// When a process was started, in the system's own unit; `None` if it does not run.
///
/// Field 22 of `/proc/PID/stat`, counted from behind the parenthesised name. A zombie has ended.
pub(super) fn born(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    if *fields.first()? == "Z" {
        return None;
    }
    fields.get(19).map(|field| (*field).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_for_stays_as_it_was() {
        let before = Wishes { cloud: Some("http://a".into()), operator_args: Some("--x".into()), ..Wishes::default() };
        let asked = Wishes { operator_args: Some(String::new()), ..Wishes::default() };
        let now = asked.or(before);
        assert_eq!(now.cloud.as_deref(), Some("http://a"));
        assert_eq!(now.operator_args.as_deref(), Some(""));
    }

    #[test]
    fn a_running_process_has_a_birth_and_an_absent_one_has_none() {
        assert!(born(std::process::id()).is_some());
        assert!(born(u32::MAX).is_none());
    }
}
