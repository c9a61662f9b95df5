//! What a pass can do and what it can say: the vocabulary of `decide`, `act` and `record`. Data only.

use std::time::Duration;

use super::problem::Problem;
use crate::api::{AttemptState, Reason, Synced};

/// How often an object at rest is looked at where no other time is due. Source: our choice.
pub const SLOW: Duration = Duration::from_mins(5);

/// Longest wait that is kept to the second. Source: our choice: those of the protocol are not longer.
pub const SHORT: Duration = Duration::from_secs(30);

/// What a pass does. One of these a pass; only `act` carries it out.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Put our finalizer on the object, before anything can be bought for it.
    AddFinalizer,
    /// Write the intent, send the create once, and persist its outcome: one act.
    Create,
    /// Search the cloud for a machine with our domain or name, then decide again.
    LookUp,
    /// Record a machine as this object's own.
    Adopt {
        /// The machine.
        id: String,
    },
    /// Move the open attempt to another state.
    CloseAttempt {
        /// Where it belongs.
        state: AttemptState,
        /// Why.
        why: String,
    },
    /// Forget the attempt and the machines that are gone, because a person asked to start over.
    StartOver,
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

/// What a step came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// How things stand, to be recorded.
    Report(Report),
    /// Nothing to record; come back then.
    Again(Duration),
    /// Nothing is left to do until the object changes.
    Done,
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
    /// Something beside the machine's own state for which a person must act: the reason and message of `Stalled`.
    pub besides: Option<Problem>,
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
            besides: None,
        }
    }

    /// Something is wrong: a person must act, or it is tried again, as the reason says.
    pub fn problem(problem: &Problem, next: Duration) -> Self {
        let standing = if problem.reason.needs_a_person() { Standing::NeedsPerson } else { Standing::Retrying };
        Self {
            ready: Readiness::NotReady,
            reason: problem.reason,
            message: problem.message.clone(),
            standing,
            synced: Synced::Error,
            next,
            besides: None,
        }
    }

    /// The same, and a person must act.
    #[must_use]
    pub fn stalled(self) -> Self {
        Self { standing: Standing::NeedsPerson, ..self }
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
            besides: None,
        }
    }
}
