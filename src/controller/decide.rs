//! Decide: from what was observed to exactly one step. Pure: no clock, no IO, no async, so that it can be read beside the
//! specification and run in a model checker.

use std::time::Duration;

use jiff::Timestamp;

use super::memory::{Hold, Ownership};
use super::name::instance_name;
use super::observe::Observed;
use super::problem::{Problem, Retry, doubled};
use super::proof::{Match, judge};
use super::resolve::{self, Verb};
use super::step::{Readiness, Report, SLOW, Standing, Step};
use super::{deletion, following, settling};
use crate::api::{AttemptState, CreateAttempt, Reason, Synced};

/// The one step that follows from what was observed.
pub fn decide(seen: &Observed, now: Timestamp) -> Step {
    if seen.deleting() && !seen.has_finalizer() {
        return Step::LetGo;
    }
    if !seen.has_finalizer() {
        return Step::AddFinalizer;
    }
    if let Some(attempt) = seen.status.open_attempt() {
        return open_attempt(seen, attempt, now);
    }
    if seen.deleting() {
        return deletion::decide(seen, now);
    }
    if !seen.status.instance_ids.is_empty() {
        return following::decide(seen, now);
    }
    creation(seen, now)
}

/// While an attempt is open nothing else may be sent, and a deletion waits: a machine may exist.
fn open_attempt(seen: &Observed, attempt: &CreateAttempt, now: Timestamp) -> Step {
    match (&attempt.state, seen.ownership) {
        (AttemptState::Sending, Ownership::InFlight) => Step::Wait(Duration::from_secs(5)),
        (AttemptState::Sending, Ownership::NeverSent) => {
            Step::CloseAttempt { state: AttemptState::Rejected, why: "NotSent".to_owned() }
        }
        (AttemptState::Sending, Ownership::Foreign) => Step::CloseAttempt {
            state: AttemptState::Uncertain,
            why: "the operator stopped while the request was on its way".to_owned(),
        },
        _ => settling::decide(seen, attempt, now),
    }
}

/// The report on an attempt whose outcome nobody knows.
pub fn outcome_unknown(attempt: &CreateAttempt, deleting: bool) -> Report {
    let why = attempt.reason.as_deref().unwrap_or("the operator stopped while the request was on its way");
    let request_id = attempt.request_id.as_deref().map(|id| format!(" RequestId {id}")).unwrap_or_default();
    let then = match (deleting, attempt.charge_type.as_str()) {
        (true, _) => "The deletion waits for it",
        (false, "PREPAID") => "If none shows within minutes you are asked, since a second one would cost a whole term",
        (false, _) => "If none shows within minutes it is tried again",
    };
    Report {
        ready: Readiness::NotReady,
        reason: Reason::OutcomeUnknown,
        message: format!(
            "A create was sent at {} and its outcome is unknown ({why}): a machine named {} may exist in {} and be billed. No other create \
             is sent; the cloud is searched for it. {then}.{request_id}",
            attempt.signed_at, attempt.instance_name, attempt.region,
        ),
        standing: Standing::Retrying,
        synced: Synced::Error,
        next: SLOW,
        besides: None,
    }
}

/// No machine, no open attempt: create, unless something forbids it.
fn creation(seen: &Observed, now: Timestamp) -> Step {
    if seen.paused() {
        let text = "Paused: nothing is created until the annotation pai.tencentcloud.io/paused is removed.";
        return Step::Report(Report::paused(Reason::Provisioning, text));
    }
    if let Some(attempt) =
        seen.status.create_attempt.as_ref().filter(|attempt| attempt.state == AttemptState::Abandoned)
    {
        return abandoned(seen, attempt);
    }
    if let Some(rival) = &seen.rival {
        let text = format!(
            "The PaiInstance {rival} has the same domain in the same region and came first: no call is made for this one. Delete one of the two."
        );
        return Step::Report(Report::problem(&Problem::new(Reason::DomainConflict, text), Duration::from_secs(60)));
    }
    if let Err(problem) = &seen.account {
        return Step::Report(Report::problem(problem, Retry::of(problem.reason).look_again()));
    }
    if let Some(Err(problem)) = &seen.create_inputs {
        return Step::Report(Report::problem(problem, Duration::from_mins(1)));
    }
    if let Some(step) = waits_for_a_change(seen.recollection.hold.as_ref(), seen, now) {
        return step;
    }
    looked_up(seen, now)
}

/// The step while a refusal is left alone: what stood in the way is told, until its time has come or something about it changed.
pub fn waits_for_a_change(hold: Option<&Hold>, seen: &Observed, now: Timestamp) -> Option<Step> {
    let hold = hold.filter(|hold| hold.inputs == seen.inputs && now < hold.until)?;
    let left = Duration::try_from(hold.until - now).unwrap_or(Duration::ZERO);
    Some(Step::Report(Report::problem(&hold.problem, left.min(Duration::from_secs(60)))))
}

/// How old a lookup may be when the intent is written, from before its first request. Source: reliability step 6.
pub const FRESH_FOR: Duration = Duration::from_secs(60);

/// How soon a lookup that failed is repeated, at first and at most, in seconds. Source: our choice: a create waits for it, and in an outage
/// thousands may.
const LOOK_AGAIN: (u64, u64) = (10, 80);

/// The last question before a create: does the cloud hold such a machine already?
fn looked_up(seen: &Observed, now: Timestamp) -> Step {
    let found = match &seen.lookup {
        None => return Step::LookUp,
        Some(Err(problem)) => {
            let by_itself = doubled(LOOK_AGAIN.0, LOOK_AGAIN.1, seen.recollection.failed_looks);
            let next = if problem.reason.needs_a_person() { Retry::of(problem.reason).look_again() } else { by_itself };
            return Step::Report(Report::problem(problem, next));
        }
        Some(Ok(found)) if now >= found.begun_at + FRESH_FOR => return Step::LookUp,
        Some(Ok(found)) => found,
    };
    if let Some(Verb::Adopt(id)) = resolve::answer(seen)
        && found.answers_to(&id, &seen.object.spec.domain_name)
    {
        return Step::Adopt { id };
    }
    let (_, origin) = instance_name(&seen.object);
    match judge(found, &seen.object.spec.domain_name, &origin, None) {
        Match::Nothing => Step::Create,
        Match::Ours(id) => Step::Adopt { id },
        Match::NotProven(id) => Step::Report(domain_taken(seen, &id)),
        Match::Several(ids) => {
            let text = format!(
                "Several machines have this domain or name ({}): nothing is bought. Each that runs is billed. Terminate what is not \
                 wanted in the console; it is looked at again every minute. Or say which one it is; {} ({ADOPTED})",
                ids.join(", "),
                resolve::adopt_commands(&seen.object, &ids)
            );
            Step::Report(Report::problem(&Problem::new(Reason::AmbiguousInstances, text), Duration::from_secs(60)))
        }
    }
}

/// What an adoption costs.
const ADOPTED: &str = "nothing is bought; it costs what it costs already, and stays when the object is deleted";

fn domain_taken(seen: &Observed, id: &str) -> Report {
    let text = format!(
        "The machine {id} of this account has the domain {} already, and nothing shows that it belongs to this object: nothing was bought. \
         Terminate it in the console, or apply a new object with another domain. It is looked at again every minute. If it is this \
         object's: {} ({ADOPTED})",
        seen.object.spec.domain_name,
        resolve::command(&seen.object, &format!("adopt:{id}"))
    );
    Report::problem(&Problem::new(Reason::DomainTaken, text), Duration::from_secs(60))
}

/// A create that a person gave up: only that person's word starts another.
fn abandoned(seen: &Observed, attempt: &CreateAttempt) -> Step {
    if resolve::answer(seen) == Some(Verb::Recreate(attempt.id.clone())) {
        return Step::StartOver;
    }
    let text = format!(
        "The create of {} was given up by a person: nothing is bought. To buy a machine after all: {}",
        attempt.signed_at,
        resolve::command(&seen.object, &format!("recreate:{}", attempt.id))
    );
    Step::Report(Report::problem(&Problem::new(Reason::OutcomeUnknown, text), SLOW).stalled())
}
