//! Settling: what becomes of a create whose outcome nobody knows. Pure. A hit counts at once; an absence only after a long, complete look.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::decide::outcome_unknown;
use super::lookup::Found;
use super::observe::Observed;
use super::problem::{Problem, Retry};
use super::proof::{Match, judge};
use super::resolve::{self, Verb};
use super::step::{Report, Step};
use crate::api::{AttemptState, CreateAttempt, Reason};

/// Complete empty rounds that it takes. Source: reliability step 12.
pub const ROUNDS: u32 = 3;

/// When the first of them may begin after the signature, by the cloud's clock: the five minutes within which it takes a signature, and one.
pub const AFTER_BY_CLOUD_CLOCK: Duration = Duration::from_secs(360);

/// The same by our clock, where the cloud does not tell its own: a fast clock keeps a signature valid for longer.
pub const AFTER_BY_OUR_CLOCK: Duration = Duration::from_secs(660);

/// How long an attempt is looked for without the credentials it was sent with before a person is asked. Source: step 12.
pub const WITHOUT_ITS_KEY: Duration = Duration::from_secs(15 * 60);

/// Attempts in a row that may end unknown before a person is asked. Source: step 12.
const UNKNOWN_IN_A_ROW: i64 = 3;

/// The complete empty looks of one process at one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmptyRounds {
    /// The attempt that was looked for.
    pub attempt_id: String,
    /// How many there were.
    pub count: u32,
    /// When the first of them had ended, by the monotonic clock: the wall clock may step.
    pub first: Instant,
    /// When the last of them began.
    pub last: Instant,
}

impl EmptyRounds {
    /// The rounds with one more, if the look was late enough to count: before that a machine may still appear by the request itself.
    ///
    /// The window runs from the end of the first: its answer says that it was late enough, not its beginning, from which it may have
    /// waited for its turn.
    pub fn with(rounds: Option<Self>, attempt: &CreateAttempt, found: &Found, ended: Instant) -> Option<Self> {
        let late_enough = match found.cloud_time {
            Some(time) => time >= attempt.signed_at + AFTER_BY_CLOUD_CLOCK,
            None => found.begun_at >= attempt.signed_at + AFTER_BY_OUR_CLOCK,
        };
        if !late_enough {
            return None;
        }
        let before = rounds.filter(|rounds| rounds.attempt_id == attempt.id);
        Some(before.map_or_else(
            || Self { attempt_id: attempt.id.clone(), count: 1, first: ended, last: found.begun },
            |rounds| Self { count: rounds.count + 1, last: found.begun, ..rounds },
        ))
    }

    /// Whether there were enough of them over a long enough time.
    fn settled(&self, attempt: &CreateAttempt, window: Duration) -> bool {
        self.attempt_id == attempt.id && self.count >= ROUNDS && self.last.duration_since(self.first) >= window
    }
}

/// The step for an attempt that is `Uncertain`, `Held`, or in a state of another version.
pub fn decide(seen: &Observed, attempt: &CreateAttempt, now: Timestamp) -> Step {
    if !matches!(attempt.state, AttemptState::Uncertain | AttemptState::Held) {
        return Step::Report(outcome_unknown(attempt, seen.deleting()));
    }
    if let Some(step) = answer_of_a_person(seen, attempt) {
        return step;
    }
    if attempt.is_incomplete() {
        return Step::Report(held(seen, attempt, "nothing can be looked for by what is left", &[]));
    }
    let account = match &seen.account {
        Ok(account) => account,
        Err(problem) if is_without_its_key_too_long(attempt, now) => {
            return hold(&format!("the credentials it was sent with cannot be had ({})", problem.reason.as_str()));
        }
        Err(problem) => return waiting(seen, attempt, Some(problem), Retry::of(problem.reason).look_again()),
    };
    if account.credentials.secret_id.as_str() != attempt.secret_id {
        return without_its_key(seen, attempt, now);
    }
    if account.region.as_str() != attempt.region {
        let text = format!("the create was sent to {}, and spec.region is another one now.", attempt.region);
        return waiting(seen, attempt, Some(&Problem::new(Reason::InvalidSpec, text)), Duration::from_mins(1));
    }
    let found = match &seen.lookup {
        None => return Step::LookUp,
        Some(Err(problem)) => return waiting(seen, attempt, Some(problem), pause(attempt, now)),
        Some(Ok(found)) => found,
    };
    match judge(found, &attempt.domain_name, &attempt.name_origin, Some(attempt)) {
        Match::Ours(id) => Step::Adopt { id },
        Match::Several(ids) if attempt.state == AttemptState::Held => Step::Report(ambiguous(seen, attempt, &ids)),
        Match::Several(ids) => hold(&format!("several machines match: {}", ids.join(", "))),
        Match::NotProven(id) if attempt.state == AttemptState::Held => {
            Step::Report(held(seen, attempt, &format!("the machine {id} may be it"), std::slice::from_ref(&id)))
        }
        Match::NotProven(id) if now >= attempt.signed_at + AFTER_BY_OUR_CLOCK => {
            hold(&format!("the machine {id} may be it, but there is no proof"))
        }
        Match::NotProven(_) => waiting(seen, attempt, None, pause(attempt, now)),
        Match::Nothing if attempt.state == AttemptState::Held => {
            Step::Report(held(seen, attempt, "no machine with its domain or name is listed", &[]))
        }
        Match::Nothing => nothing_found(seen, attempt, now),
    }
}

fn nothing_found(seen: &Observed, attempt: &CreateAttempt, now: Timestamp) -> Step {
    let settled =
        seen.recollection.empty_rounds.as_ref().is_some_and(|rounds| rounds.settled(attempt, seen.settle_window));
    if !settled {
        return waiting(seen, attempt, None, pause(attempt, now));
    }
    if attempt.charge_type == "PREPAID" {
        return hold("it was prepaid, and a second one would cost a whole term");
    }
    if attempt.lapsed_before + 1 >= UNKNOWN_IN_A_ROW {
        return hold("it was the third in a row without an answer");
    }
    let why = "no machine with its domain or name appeared".to_owned();
    Step::CloseAttempt { state: AttemptState::Lapsed, why }
}

fn hold(why: &str) -> Step {
    Step::CloseAttempt { state: AttemptState::Held, why: why.to_owned() }
}

/// How long until the next look: 2 s soon after the call, 30 s later. Source: step 12.
fn pause(attempt: &CreateAttempt, now: Timestamp) -> Duration {
    let age = u64::try_from(now.duration_since(attempt.signed_at).as_secs()).unwrap_or(0);
    Duration::from_secs((age / 4).clamp(2, 30))
}

/// Still unknown; look again then. What stands in the way of looking is told, too.
fn waiting(seen: &Observed, attempt: &CreateAttempt, problem: Option<&Problem>, next: Duration) -> Step {
    let mut report = match attempt.state {
        AttemptState::Held => held(seen, attempt, "a person must decide", &[]),
        _ => outcome_unknown(attempt, seen.deleting()),
    };
    if let Some(problem) = problem {
        report.message = format!("{} It cannot be looked for now: {}", report.message, problem.message);
    }
    report.next = next;
    Step::Report(report)
}

/// Whether a person must be asked, because the account that was asked cannot be. The time counts from the signature: that needs no
/// memory, and asks earlier rather than later.
fn is_without_its_key_too_long(attempt: &CreateAttempt, now: Timestamp) -> bool {
    attempt.state == AttemptState::Uncertain && now >= attempt.signed_at + WITHOUT_ITS_KEY
}

/// The Secret holds another key than the one that asked. What another account lists is no evidence.
fn without_its_key(seen: &Observed, attempt: &CreateAttempt, now: Timestamp) -> Step {
    if is_without_its_key_too_long(attempt, now) {
        return hold("the credentials it was sent with are no longer in the Secret");
    }
    let then = match attempt.state {
        AttemptState::Held => format!(", or decide: {}", resolve::commands(&seen.object, attempt, &[])),
        _ => "; after 15 minutes you are asked.".to_owned(),
    };
    let text = format!(
        "A create was sent at {} with the secret id {}, and the Secret {} now holds another: whether a machine was bought can only be seen \
         with the old one. Put it back until this is settled{then}",
        attempt.signed_at, attempt.secret_id, seen.object.spec.credentials_ref.name,
    );
    Step::Report(Report::problem(&Problem::new(Reason::CredentialsChanged, text), Duration::from_secs(60)))
}

fn ambiguous(seen: &Observed, attempt: &CreateAttempt, ids: &[String]) -> Report {
    let text = format!(
        "Several machines match this object ({}): nothing is bought or terminated. Each that runs is billed. Decide: {}",
        ids.join(", "),
        resolve::commands(&seen.object, attempt, ids)
    );
    Report::problem(&Problem::new(Reason::AmbiguousInstances, text), Duration::from_secs(60))
}

/// A person must decide; the message holds the commands.
fn held(seen: &Observed, attempt: &CreateAttempt, what: &str, candidates: &[String]) -> Report {
    let why = attempt.reason.as_deref().unwrap_or("its outcome is unknown");
    let text = format!(
        "A create was sent at {} under the name {} and nobody can tell whether it bought a machine ({why}); {what}. Nothing is bought until a \
         person decides. Look in the console of {}. Then, {}",
        attempt.signed_at,
        attempt.instance_name,
        attempt.region,
        resolve::commands(&seen.object, attempt, candidates)
    );
    Report::problem(&Problem::new(Reason::OutcomeUnknown, text), Duration::from_secs(60)).stalled()
}

/// What a person wrote into the annotation, if it speaks of this attempt in this state.
fn answer_of_a_person(seen: &Observed, attempt: &CreateAttempt) -> Option<Step> {
    if attempt.state != AttemptState::Held {
        return None;
    }
    let close = |state, why: &str| Some(Step::CloseAttempt { state, why: why.to_owned() });
    match resolve::answer(seen)? {
        Verb::Retry(id) if id == attempt.id => close(AttemptState::Lapsed, "a person said to try again"),
        Verb::Abandon(id) if id == attempt.id => close(AttemptState::Abandoned, "a person gave it up"),
        Verb::Adopt(id) => match &seen.lookup {
            None => Some(Step::LookUp),
            Some(Ok(found)) if found.answers_to(&id, &attempt.domain_name) => Some(Step::Adopt { id }),
            _ => None,
        },
        _ => None,
    }
}
