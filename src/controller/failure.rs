//! Why a pass, or the step in it, failed. All of it passes: the pass is repeated from a fresh look.

use super::observe::Observe;
use super::record::WriteStatus;

/// Why a step could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Act {
    /// The object could not be written.
    #[error("the object cannot be written: {0}")]
    WriteObject(#[source] Box<kube::Error>),
    /// The status could not be written.
    #[error(transparent)]
    WriteStatus(#[from] WriteStatus),
    /// The API server took the intent but dropped a part of it, so nothing was sent.
    #[error("the API server did not keep the whole create attempt: install the CRD of this version of the operator")]
    IntentNotKept,
}

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub enum Pass {
    /// Nothing could be observed.
    #[error(transparent)]
    Observe(#[from] Observe),
    /// The step could not be carried out.
    #[error(transparent)]
    Act(#[from] Act),
    /// The outcome could not be recorded.
    #[error(transparent)]
    Record(#[from] WriteStatus),
    /// A mistake in the operator. The log holds where.
    #[error("the pass panicked: this is a mistake in the operator, please report it with the log")]
    Panicked,
}

impl Pass {
    /// A word for metrics and logs.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Observe(_) => "observe",
            Self::Act(Act::WriteStatus(WriteStatus::Conflict)) | Self::Record(WriteStatus::Conflict) => "conflict",
            Self::Act(_) => "act",
            Self::Record(_) => "record",
            Self::Panicked => "panic",
        }
    }
}
