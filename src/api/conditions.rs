//! Condition types and how they are set. Pure; who sets them is `controller::record`. The reasons are in `reasons`.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Types of our conditions. Source: kstatus (`Ready`, `Reconciling`, `Stalled`) and Crossplane's users' habit (`Synced`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionType {
    /// The machine runs and has the address it asked for. Always there.
    Ready,
    /// The last pass compared spec and cloud. Always there.
    Synced,
    /// Work is under way. Only while true.
    Reconciling,
    /// A person must act. Only while true.
    Stalled,
}

impl ConditionType {
    /// The word in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Synced => "Synced",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

/// What the condition `Synced` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synced {
    /// The object and the cloud were compared: the one that is true.
    Success,
    /// The last look or act failed.
    Error,
    /// A person paused the object.
    Paused,
}

impl Synced {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Success, Self::Error, Self::Paused];

    /// The reason in the status.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Success => "ReconcileSuccess",
            Self::Error => "ReconcileError",
            Self::Paused => "Paused",
        }
    }
}

/// Reason of `Reconciling` while nothing is wrong.
pub const PROGRESSING: &str = "Progressing";

/// Reason of `Reconciling` while something that failed is tried again. Source: kstatus's users, such as Flux.
pub const PROGRESSING_WITH_RETRY: &str = "ProgressingWithRetry";

/// Longest message of a condition, in bytes. Source: Kubernetes API conventions (`metav1.Condition.message`).
pub const MESSAGE_LIMIT: usize = 32_768;

/// The condition of this type, if it is there.
pub fn find(conditions: &[Condition], condition_type: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == condition_type.as_str())
}

/// Sets one condition; `lastTransitionTime` moves only with the status, in whole seconds. Says whether anything changed.
pub fn set(
    conditions: &mut Vec<Condition>,
    condition_type: ConditionType,
    status: bool,
    reason: &str,
    message: &str,
    generation: Option<i64>,
    now: Timestamp,
) -> bool {
    let status = if status { "True" } else { "False" };
    let old = find(conditions, condition_type);
    let last_transition_time = match old {
        Some(old) if old.status == status => old.last_transition_time.clone(),
        _ => Time(whole_seconds(now)),
    };
    // A repeated refusal has a RequestId of its own: writing that would be a write for every try.
    let message = match old {
        Some(old) if old.reason == reason && without_request_id(&old.message) == without_request_id(message) => {
            &old.message
        }
        _ => message,
    };
    let new = Condition {
        type_: condition_type.as_str().to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: cut_to_bytes(message, MESSAGE_LIMIT).to_owned(),
        observed_generation: generation,
        last_transition_time,
    };
    if old == Some(&new) {
        return false;
    }
    match conditions.iter_mut().find(|c| c.type_ == new.type_) {
        Some(place) => *place = new,
        None => conditions.push(new),
    }
    true
}

/// What a message says before and after its RequestId.
fn without_request_id(message: &str) -> (&str, &str) {
    let Some((before, rest)) = message.rsplit_once(" RequestId ") else { return (message, "") };
    (before, rest.split_once(' ').map_or("", |(_, after)| after))
}

/// Takes one condition away. Says whether it was there.
pub fn clear(conditions: &mut Vec<Condition>, condition_type: ConditionType) -> bool {
    let before = conditions.len();
    conditions.retain(|c| c.type_ != condition_type.as_str());
    conditions.len() != before
}

/// The instant without its fraction: the API server keeps whole seconds, so a finer value would differ at every comparison.
pub fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// The longest start of `text` of at most `limit` bytes that ends on a character boundary.
pub fn cut_to_bytes(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let mut conditions = Vec::new();
        assert!(set(&mut conditions, ConditionType::Ready, false, "Provisioning", "a", Some(1), at(10)));
        assert!(set(&mut conditions, ConditionType::Ready, false, "OutOfStock", "b", Some(1), at(20)));
        assert_eq!(conditions[0].last_transition_time, Time(at(10)));
        assert!(set(&mut conditions, ConditionType::Ready, true, "Available", "b", Some(1), at(30)));
        assert_eq!(conditions[0].last_transition_time, Time(at(30)));
        assert!(!set(&mut conditions, ConditionType::Ready, true, "Available", "b", Some(1), at(40)));
        assert_eq!(conditions.len(), 1);
    }

    #[test]
    fn another_request_id_is_no_news() {
        let mut conditions = Vec::new();
        let mut say =
            |message: &str| set(&mut conditions, ConditionType::Ready, false, "OutOfStock", message, Some(1), at(10));
        assert!(say("sold out. RequestId a"));
        assert!(!say("sold out. RequestId b"));
        assert!(say("something else. RequestId b"));
        assert!(say("something else. RequestId b. To end it: kubectl 1"));
        assert!(!say("something else. RequestId c. To end it: kubectl 1"));
        assert!(say("something else. RequestId c. To end it: kubectl 2"), "the command behind it is news");
    }

    #[test]
    fn a_message_is_cut_on_a_character_boundary() {
        assert_eq!(cut_to_bytes("añb", 2), "a");
        assert_eq!(cut_to_bytes("añb", 3), "añ");
        assert_eq!(cut_to_bytes("añb", 9), "añb");
    }

    #[test]
    fn clearing_says_whether_it_was_there() {
        let mut conditions = Vec::new();
        assert!(!clear(&mut conditions, ConditionType::Stalled));
        set(&mut conditions, ConditionType::Stalled, true, "InvalidSpec", "", None, at(1));
        assert!(clear(&mut conditions, ConditionType::Stalled));
        assert!(conditions.is_empty());
    }
}
