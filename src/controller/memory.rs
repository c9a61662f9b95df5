//! What this process remembers about an object and may forget at any time: a restart must only cost a repeated look.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::time::Instant;

use super::lookup::Question;
use super::problem::Problem;
use super::recheck::Recheck;
use super::settling::EmptyRounds;

/// What a refused create was sent with. When any of it changes, the refusal no longer speaks of the present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// Value of the annotation that asks for a fresh look.
    pub reconcile_requested_at: Option<String>,
    /// resourceVersion of the credentials Secret.
    pub credentials_version: Option<String>,
    /// resourceVersions of the script's and the password's sources.
    pub reference_versions: Vec<String>,
}

/// Until when a refused create is not repeated, unless its inputs change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The next try.
    pub until: Timestamp,
    /// What was refused.
    pub inputs: Inputs,
    /// Why, in the words of the condition.
    pub problem: Problem,
}

/// What is remembered about one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recollection {
    /// The refused create that waits.
    pub hold: Option<Hold>,
    /// Refused creates in a row, for their back-off.
    pub failures: u32,
    /// Failed passes in a row, for theirs.
    pub failed_passes: u32,
    /// Failed looks for a machine in a row, for theirs.
    pub failed_looks: u32,
    /// The question to the cloud that is not answered yet, or whose answer waits for its create.
    pub question: Option<Question>,
    /// Complete looks that found no trace of the open attempt.
    pub empty_rounds: Option<EmptyRounds>,
    /// The last complete look for the domain of a machine and for a second one.
    pub recheck: Option<Recheck>,
    /// The last request of a person to look again that was answered by a look.
    pub last_request: Option<String>,
    /// The last answer of a person that was dealt with, so that it is told of only once.
    pub last_answer: Option<String>,
    /// Whether that answer was declared ignored. It is then never acted on later.
    pub last_answer_ignored: bool,
    /// The refused termination that waits.
    pub refused_termination: Option<Hold>,
    /// Since when each id has been absent from complete listings, by the monotonic clock: the wall clock may step.
    pub absent_since: BTreeMap<String, Instant>,
    /// Whether a machine of it was listed to this process: the status may not say so yet.
    pub listed: bool,
    /// Ids that the cloud said do not exist (any more).
    pub gone: BTreeSet<String>,
    /// Ids whose termination the cloud accepted: no need to ask again at once.
    pub terminated_at: BTreeMap<String, Timestamp>,
}

impl Recollection {
    /// Forgets what an object at rest has no use for.
    pub fn settle(&mut self) {
        let (last_answer, last_answer_ignored) = (self.last_answer.take(), self.last_answer_ignored);
        let last_request = self.last_request.take();
        *self = Self { last_request, last_answer, last_answer_ignored, ..Self::default() };
    }
}

/// How this process stands to a create attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// This process holds it and may still be sending.
    InFlight,
    /// This process wrote it, or tried to, and will never send it.
    NeverSent,
    /// Another process wrote it, or this one before a restart: nobody knows what became of it.
    Foreign,
}

/// The memory of the process, by object UID: what is known of the object, and this process's attempts for it by their ids.
#[derive(Debug, Default)]
pub struct Memory {
    objects: Mutex<HashMap<String, Recollection>>,
    attempts: Mutex<HashMap<String, BTreeMap<String, Ownership>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes one entry; an empty one takes no room.
fn change_entry<T: Default + PartialEq>(all: &Mutex<HashMap<String, T>>, uid: &str, change: impl FnOnce(&mut T)) {
    let mut all = locked(all);
    let mut entry = all.remove(uid).unwrap_or_default();
    change(&mut entry);
    if entry != T::default() {
        all.insert(uid.to_owned(), entry);
    }
}

impl Memory {
    /// What is remembered about the object, empty if nothing.
    pub fn recall(&self, uid: &str) -> Recollection {
        locked(&self.objects).get(uid).cloned().unwrap_or_default()
    }

    /// Changes what is remembered about the object; an empty recollection takes no room.
    pub fn update(&self, uid: &str, change: impl FnOnce(&mut Recollection)) {
        change_entry(&self.objects, uid, change);
    }

    /// Forgets the object. What is still being sent for it stays: the object may come back while it is under way.
    pub fn forget(&self, uid: &str) {
        locked(&self.objects).remove(uid);
        change_entry(&self.attempts, uid, |attempts| attempts.retain(|_, ownership| *ownership == Ownership::InFlight));
    }

    /// How this process stands to the attempt.
    pub fn ownership(&self, uid: &str, attempt_id: &str) -> Ownership {
        let attempts = locked(&self.attempts);
        attempts.get(uid).and_then(|attempts| attempts.get(attempt_id)).copied().unwrap_or(Ownership::Foreign)
    }

    /// Notes that this process writes the attempt, or tried to, and has not sent it.
    pub fn write_attempt(&self, uid: &str, attempt_id: &str) {
        change_entry(&self.attempts, uid, |attempts| {
            attempts.insert(attempt_id.to_owned(), Ownership::NeverSent);
        });
    }

    /// Notes that the attempt is written and may be sent from now on. Earlier ones of the object whose write got no answer are forgotten:
    /// they named an older version of the object, so they can land no more.
    pub fn send_attempt(&self, uid: &str, attempt_id: &str) {
        change_entry(&self.attempts, uid, |attempts| {
            attempts.retain(|_, ownership| *ownership == Ownership::InFlight);
            attempts.insert(attempt_id.to_owned(), Ownership::InFlight);
        });
    }

    /// Forgets an attempt whose outcome is recorded.
    pub fn disown(&self, uid: &str, attempt_id: &str) {
        change_entry(&self.attempts, uid, |attempts| {
            attempts.remove(attempt_id);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intent_that_landed_replaces_those_that_got_no_answer() {
        let memory = Memory::default();
        memory.write_attempt("uid", "first");
        memory.write_attempt("uid", "second");
        assert_eq!(memory.ownership("uid", "first"), Ownership::NeverSent, "its write may still have landed");
        memory.send_attempt("uid", "second");
        assert_eq!(memory.ownership("uid", "first"), Ownership::Foreign);
        assert_eq!(memory.ownership("uid", "second"), Ownership::InFlight);
    }

    #[test]
    fn a_forgotten_object_keeps_only_what_is_under_way() {
        let memory = Memory::default();
        memory.write_attempt("gone", "refused");
        memory.forget("gone");
        memory.send_attempt("sending", "attempt");
        memory.forget("sending");
        assert_eq!(memory.ownership("gone", "refused"), Ownership::Foreign);
        assert_eq!(memory.ownership("sending", "attempt"), Ownership::InFlight);
        memory.disown("sending", "attempt");
        assert!(memory.attempts.into_inner().unwrap().is_empty(), "what was dealt with takes no room");
    }
}
