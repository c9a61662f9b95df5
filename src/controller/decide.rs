//! Decide: from what was observed to exactly one step. Pure: no clock, no IO, no async, so that it can be read beside the
//! specification and run in a model checker.

use std::time::Duration;

use jiff::Timestamp;

use super::memory::Ownership;
use super::observe::Observed;
use super::problem::{Problem, Retry};
use super::{deletion, following};
use crate::api::{AttemptState, CreateAttempt, Reason};

/// What a pass does. One of these a pass; only `act` carries it out.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Put our finalizer on the object, before anything can be bought for it.
    AddFinalizer,
    /// Write the intent, send the create once, and persist its outcome: one act.
    Create,
    /// Close an attempt that this process wrote and will never send.
    CloseUnsent,
    /// Say that nobody knows what became of an attempt.
    MarkUncertain,
    /// Terminate one machine: one id a call, because a batch fails as a whole.
    Terminate {
        /// The machine.
        id: String,
        /// Whether this may be asked only once in the machine's life (prepaid): it is then written down before it is sent.
        only_once: bool,
    },
    /// Let the object go.
    RemoveFinalizer {
        /// What became of the machine, for the Event.
        farewell: Farewell,
    },
    /// Nothing to do but to say how things stand.
    Report(Report),
    /// Nothing to do and nothing new to say; look again then.
    Wait(Duration),
    /// Nothing to do ever: the object is on its way out without us.
    LetGo,
}

/// What became of the machine of an object that is let go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// There never was one.
    NoInstance,
    /// It is gone.
    Terminated,
    /// It is a prepaid one in the recycle bin.
    Recycled,
    /// It runs on and is billed, as the deletion policy says.
    Retained,
    /// It runs on and is billed, because the CRD itself is being deleted.
    CrdDeleted,
}

/// How things stand, for the conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether `Ready` becomes true, false, or stays as it is.
    pub ready: Readiness,
    /// Reason of `Ready`, and of what else is not well.
    pub reason: Reason,
    /// What happened, what it costs, what to do next.
    pub message: String,
    /// What the object is doing.
    pub standing: Standing,
    /// Whether spec and cloud were compared, for `Synced`.
    pub synced: Synced,
    /// When to look again.
    pub next: Duration,
}

/// What becomes of the condition `Ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// True.
    Ready,
    /// False.
    NotReady,
    /// As it was: the last look failed, and says nothing about the machine.
    AsBefore,
}

/// What an object is doing, as kstatus asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// At rest: neither `Reconciling` nor `Stalled`.
    Settled,
    /// `Reconciling=True`.
    Progressing,
    /// `Reconciling=True` with reason `ProgressingWithRetry`.
    Retrying,
    /// `Stalled=True`.
    NeedsPerson,
}

/// The condition `Synced`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synced {
    /// `ReconcileSuccess`.
    Success,
    /// `ReconcileError`.
    Error,
    /// `Paused`.
    Paused,
}

impl Report {
    /// Work is under way; nothing is wrong.
    pub fn progressing(reason: Reason, message: impl Into<String>, next: Duration) -> Self {
        Self {
            ready: Readiness::NotReady,
            reason,
            message: message.into(),
            standing: Standing::Progressing,
            synced: Synced::Success,
            next,
        }
    }

    /// Something is wrong: a person must act, or it is tried again, as the reason says.
    pub fn problem(problem: &Problem, next: Duration) -> Self {
        let standing = if problem.reason.needs_a_person() {
            Standing::NeedsPerson
        } else {
            Standing::Retrying
        };
        Self {
            ready: Readiness::NotReady,
            reason: problem.reason,
            message: problem.message.clone(),
            standing,
            synced: Synced::Error,
            next,
        }
    }

    /// A person has stopped all cloud writes.
    pub fn paused(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            ready: Readiness::NotReady,
            reason,
            message: message.into(),
            standing: Standing::Settled,
            synced: Synced::Paused,
            next: SLOW,
        }
    }
}

/// How often an object at rest is looked at where no other time is due. Source: our choice.
pub const SLOW: Duration = Duration::from_mins(5);

/// The one step that follows from what was observed.
pub fn decide(seen: &Observed, now: Timestamp) -> Step {
    if seen.deleting() && !seen.has_finalizer() {
        return Step::LetGo;
    }
    if let Some(attempt) = seen.status.open_attempt() {
        return open_attempt(seen, attempt);
    }
    if seen.deleting() {
        return deletion::decide(seen, now);
    }
    if !seen.has_finalizer() {
        return Step::AddFinalizer;
    }
    if !seen.status.instance_ids.is_empty() {
        return following::decide(seen, now);
    }
    creation(seen, now)
}

/// While an attempt is open nothing else may be sent, and a deletion waits: a machine may exist.
fn open_attempt(seen: &Observed, attempt: &CreateAttempt) -> Step {
    match (&attempt.state, seen.ownership) {
        (AttemptState::Sending, Ownership::InFlight) => Step::Wait(Duration::from_secs(5)),
        (AttemptState::Sending, Ownership::NeverSent) => Step::CloseUnsent,
        (AttemptState::Sending, Ownership::Foreign) => Step::MarkUncertain,
        _ => Step::Report(outcome_unknown(attempt, seen.deleting())),
    }
}

/// The report on an attempt whose outcome nobody knows.
pub fn outcome_unknown(attempt: &CreateAttempt, deleting: bool) -> Report {
    let deletion = if deleting { " The deletion waits for it." } else { "" };
    let why = attempt
        .reason
        .as_deref()
        .unwrap_or("the operator stopped while the request was on its way");
    Report {
        ready: Readiness::NotReady,
        reason: Reason::OutcomeUnknown,
        message: format!(
            "A create was sent at {} and its outcome is unknown ({why}): a machine named {} may exist in {} and be billed. No other create is sent.{deletion} \
             Look for the name in the console.{}",
            attempt.signed_at,
            attempt.instance_name,
            attempt.region,
            attempt
                .request_id
                .as_deref()
                .map(|id| format!(" RequestId {id}"))
                .unwrap_or_default()
        ),
        standing: Standing::Retrying,
        synced: Synced::Error,
        next: SLOW,
    }
}

/// No machine, no open attempt: create, unless something forbids it.
fn creation(seen: &Observed, now: Timestamp) -> Step {
    if seen.paused() {
        let text = "Paused: nothing is created until the annotation pai.tencentcloud.io/paused is removed.";
        return Step::Report(Report::paused(Reason::Provisioning, text));
    }
    if let Err(problem) = &seen.account {
        return Step::Report(Report::problem(problem, Retry::of(problem.reason).look_again()));
    }
    if let Some(Err(problem)) = &seen.create_inputs {
        return Step::Report(Report::problem(problem, Duration::from_mins(1)));
    }
    if let Some(hold) = &seen.recollection.hold
        && hold.inputs == seen.inputs
        && now < hold.until
    {
        let left = Duration::try_from(hold.until - now).unwrap_or(Duration::ZERO);
        return Step::Wait(left.min(Duration::from_mins(1)));
    }
    if seen
        .status
        .create_attempt
        .as_ref()
        .is_some_and(|attempt| attempt.state == AttemptState::Abandoned)
    {
        let text = "The create was given up by a person: nothing is created until it is asked for again.";
        return Step::Report(Report::problem(&Problem::new(Reason::OutcomeUnknown, text), SLOW));
    }
    Step::Create
}
