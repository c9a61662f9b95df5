//! Rules that make the cloud misbehave, and the choice of what happens to one call. Pure; it changes nothing
//! but the counters of the rules.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One rule: lets `after` calls of an action through, then spoils `times` of them.
///
/// Only calls that passed the signature check and the rate limit are counted. Every rule counts by itself. One
/// call takes at most one effect of each kind, and at most one that concerns the answer's way (all but
/// `invisible`, `launch-failed`, `ids`, `empty`, `ignore-filter`, `shift-pages` and `no-domain`): so "visible only
/// after a minute" and "the answer is lost" can meet in one call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name of the action, or `*` for all.
    pub action: String,
    /// Calls to let through first.
    #[serde(default)]
    pub after: u32,
    /// Calls to spoil.
    #[serde(default = "once")]
    pub times: u32,
    /// How.
    pub effect: Effect,
}

fn once() -> u32 {
    1
}

fn committed() -> bool {
    true
}

/// What goes wrong. `commit` says whether the action is carried out first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Effect {
    /// Answers with this code.
    Error {
        /// Code of the envelope.
        code: String,
        /// Text of the envelope.
        #[serde(default)]
        message: String,
        /// See [`Effect`]; false unless set.
        #[serde(default)]
        commit: bool,
    },
    /// Closes the connection without an answer.
    Drop {
        /// See [`Effect`]; false unless set.
        #[serde(default)]
        commit: bool,
    },
    /// Answers only after a wait; without `commit` closes the connection after it.
    Stall {
        /// The wait, in seconds.
        seconds: f64,
        /// See [`Effect`]; true unless set.
        #[serde(default = "committed")]
        commit: bool,
    },
    /// Answers as a gateway does.
    Status {
        /// HTTP status.
        status: u16,
        /// The whole body.
        #[serde(default)]
        body: String,
        /// See [`Effect`]; false unless set.
        #[serde(default)]
        commit: bool,
    },
    /// Cuts the body in half; without `commit` it is half of an `InternalError`.
    Truncate {
        /// See [`Effect`]; true unless set.
        #[serde(default = "committed")]
        commit: bool,
    },
    /// The new instance is listed only later; until then it is not found by any action.
    Invisible {
        /// From the create, in seconds.
        seconds: f64,
    },
    /// The new instance ends in `LAUNCH_FAILED`.
    LaunchFailed {},
    /// The create makes this many machines, all with its domain and name, and returns as many ids.
    Ids {
        /// 0 makes nothing and answers with an empty list.
        count: usize,
    },
    /// A listing leaves everything out.
    Empty {},
    /// A listing takes no notice of its filters.
    IgnoreFilter {},
    /// A listing begins every page but the first one entry late, as if one before had vanished.
    ShiftPages {},
    /// A machine without its domain.
    NoDomain {},
    /// The answer comes byte by byte.
    Drip {
        /// From the first byte to the last, in seconds.
        seconds: f64,
    },
    /// The connection breaks at once, the action is carried out later unless the signature has expired by then.
    Late {
        /// From the request, in seconds.
        seconds: f64,
    },
}

impl Effect {
    /// Its name in JSON.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Error { .. } => "error",
            Self::Drop { .. } => "drop",
            Self::Stall { .. } => "stall",
            Self::Status { .. } => "status",
            Self::Truncate { .. } => "truncate",
            Self::Invisible { .. } => "invisible",
            Self::LaunchFailed {} => "launch-failed",
            Self::Ids { .. } => "ids",
            Self::Empty {} => "empty",
            Self::IgnoreFilter {} => "ignore-filter",
            Self::ShiftPages {} => "shift-pages",
            Self::NoDomain {} => "no-domain",
            Self::Drip { .. } => "drip",
            Self::Late { .. } => "late",
        }
    }

    /// Whether it changes what the action does, not how it is answered.
    fn twists(&self) -> bool {
        matches!(
            self,
            Self::Invisible { .. }
                | Self::LaunchFailed {}
                | Self::Ids { .. }
                | Self::Empty {}
                | Self::IgnoreFilter {}
                | Self::ShiftPages {}
                | Self::NoDomain {}
        )
    }

    /// Whether the action is carried out before the answer goes wrong.
    pub(crate) fn commits(&self) -> bool {
        match self {
            Self::Error { commit, .. }
            | Self::Drop { commit }
            | Self::Stall { commit, .. }
            | Self::Status { commit, .. }
            | Self::Truncate { commit } => *commit,
            _ => true,
        }
    }

    /// Refuses figures that cannot be a wait.
    pub(crate) fn valid(&self) -> bool {
        match self {
            Self::Stall { seconds, .. }
            | Self::Invisible { seconds }
            | Self::Drip { seconds }
            | Self::Late { seconds } => (0.0..=1e9).contains(seconds),
            Self::Status { status, .. } => (200..=599).contains(status),
            Self::Ids { count } => *count <= 100,
            _ => true,
        }
    }
}

/// A wait from a figure that [`Effect::valid`] let through.
pub(crate) fn wait(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// Changes to what an action does, as far as the action knows them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Twists(Vec<Effect>);

impl Twists {
    /// Whether an effect without figures is in force.
    pub(crate) fn has(&self, effect: &Effect) -> bool {
        self.0.contains(effect)
    }

    /// How long a new machine is not listed.
    pub(crate) fn invisible(&self) -> Duration {
        let seconds = self.0.iter().find_map(|effect| match effect {
            Effect::Invisible { seconds } => Some(*seconds),
            _ => None,
        });
        wait(seconds.unwrap_or_default())
    }

    /// How many machines a create makes.
    pub(crate) fn ids(&self) -> usize {
        let count = self.0.iter().find_map(|effect| match effect {
            Effect::Ids { count } => Some(*count),
            _ => None,
        });
        count.unwrap_or(1)
    }
}

/// What happens to one call.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) twists: Twists,
    /// Effect on the answer's way.
    pub(crate) delivery: Option<Effect>,
}

/// The rules in force, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
}

impl Faults {
    pub(crate) fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Rules that still have calls to let through or to spoil.
    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Counts one call of `action` and says what happens to it.
    pub(crate) fn plan(&mut self, action: &str) -> Plan {
        let mut plan = Plan::default();
        let mut taken = Vec::new();
        for rule in &mut self.rules {
            if rule.action != "*" && rule.action != action {
                continue;
            }
            if rule.after > 0 {
                rule.after -= 1;
                continue;
            }
            let twists = rule.effect.twists();
            let slot = if twists { rule.effect.kind() } else { "delivery" };
            if rule.times == 0 || taken.contains(&slot) {
                continue;
            }
            taken.push(slot);
            rule.times -= 1;
            if twists {
                plan.twists.0.push(rule.effect.clone());
            } else {
                plan.delivery = Some(rule.effect.clone());
            }
        }
        self.rules.retain(|rule| rule.times > 0);
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: &str) -> Rule {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn after_and_times_count_the_calls_of_the_action() {
        let mut faults = Faults::default();
        faults.add(rule(r#"{"action":"A","after":1,"times":2,"effect":{"kind":"drop"}}"#));
        let hit = |faults: &mut Faults, action| faults.plan(action).delivery.is_some();
        assert!(!hit(&mut faults, "A"));
        assert!(!hit(&mut faults, "B"));
        assert!(hit(&mut faults, "A"));
        assert!(hit(&mut faults, "A"));
        assert!(!hit(&mut faults, "A"));
        assert!(faults.rules().is_empty());
    }

    #[test]
    fn a_twist_and_a_lost_answer_meet_in_one_call_but_two_deliveries_do_not() {
        let mut faults = Faults::default();
        faults.add(rule(r#"{"action":"A","effect":{"kind":"drop","commit":true}}"#));
        faults.add(rule(r#"{"action":"*","effect":{"kind":"invisible","seconds":60}}"#));
        faults.add(rule(r#"{"action":"A","effect":{"kind":"truncate"}}"#));
        let first = faults.plan("A");
        assert_eq!(first.delivery, Some(Effect::Drop { commit: true }));
        assert_eq!(first.twists.invisible(), Duration::from_mins(1));
        assert_eq!(faults.plan("A").delivery, Some(Effect::Truncate { commit: true }));
        assert_eq!(faults.plan("A"), Plan::default());
    }

    #[test]
    fn every_documented_effect_is_read() {
        for effect in [
            r#"{"kind":"error","code":"X","message":"m","commit":true}"#,
            r#"{"kind":"drop","commit":false}"#,
            r#"{"kind":"stall","seconds":1,"commit":true}"#,
            r#"{"kind":"status","status":502,"body":"<html>","commit":true}"#,
            r#"{"kind":"truncate","commit":true}"#,
            r#"{"kind":"invisible","seconds":60}"#,
            r#"{"kind":"launch-failed"}"#,
            r#"{"kind":"ids","count":3}"#,
            r#"{"kind":"empty"}"#,
            r#"{"kind":"ignore-filter"}"#,
            r#"{"kind":"shift-pages"}"#,
            r#"{"kind":"no-domain"}"#,
            r#"{"kind":"drip","seconds":2.5}"#,
            r#"{"kind":"late","seconds":30}"#,
        ] {
            let rule = rule(&format!(r#"{{"action":"A","effect":{effect}}}"#));
            assert!(rule.effect.valid(), "{effect}");
            assert_eq!((rule.after, rule.times), (0, 1));
        }
    }
}
