//! What became of a create: the table that decides whether money was spent. Needs the call's result; must say
//! `Unknown` to everything that is not a definite yes or a definite no.

use super::action::Action;
use super::autoscaling::CreatePaiInstanceReply;
use super::classes::{Class, classify};
use super::client::Reply;
use super::cvm::InstanceId;
use super::errors::CallError;

/// What became of a create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateVerdict {
    /// Machines were made.
    Created {
        /// All of them, at least one.
        ids: Vec<InstanceId>,
    },
    /// No byte of the request left.
    NotSent,
    /// The cloud refused before it did anything; the class says what has to change.
    RefusedAtTheDoor(Class),
    /// Capacity, quota or money: nothing was made, as far as the code says.
    RefusedByBusiness,
    /// All else: look, never call again to find out.
    Unknown,
}

/// Codes that are given before anything is carried out: the whole code or its part before the first dot.
const AT_THE_DOOR: &[&str] = &[
    "ActionOffline",
    "InvalidAction",
    "InvalidRequest",
    "IpInBlacklist",
    "IpNotInWhitelist",
    "MissingParameter",
    "RequestSizeLimitExceeded",
    "ResourceUnavailable.ZoneUnavailable",
    "UnknownParameter",
    "UnsupportedProtocol",
    "UnsupportedRegion",
];

/// Beginnings of such codes.
const AT_THE_DOOR_BEGINNINGS: &[&str] = &[
    "AuthFailure",
    "InvalidParameter",
    "InvalidPermission",
    "NoSuch",
    "RequestLimitExceeded",
    "UnauthorizedOperation",
];

/// Beginnings of codes by which the business rules say no.
const BY_BUSINESS_BEGINNINGS: &[&str] = &[
    "AccountQualificationRestrictions",
    "InvalidAccount",
    "LimitExceeded",
    "ResourceInsufficient",
    "ResourcesSoldOut",
    "UnsupportedOperation",
];

/// Judges the result of a create. Source: `reliability.md`, section 2, step 9.
pub fn create_verdict(result: &Result<Reply<CreatePaiInstanceReply>, CallError>) -> CreateVerdict {
    match result {
        Ok(reply) if !reply.value.instance_ids.is_empty() => {
            CreateVerdict::Created { ids: reply.value.instance_ids.clone() }
        }
        Err(CallError::NotSent { .. } | CallError::RateLimited { .. }) => CreateVerdict::NotSent,
        Err(CallError::Refused { error, .. }) => by_code(&error.code),
        Ok(_) | Err(CallError::NoAnswer { .. } | CallError::Garbled { .. }) => CreateVerdict::Unknown,
    }
}

fn by_code(code: &str) -> CreateVerdict {
    let head = code.split('.').next().unwrap_or_default();
    let begins = |beginnings: &[&str]| beginnings.iter().any(|start| code.starts_with(start));
    // The machine service refused something during the create: too late to say that nothing was made.
    if code.split('.').any(|part| part == "CvmError") {
        CreateVerdict::Unknown
    } else if AT_THE_DOOR.contains(&code) || AT_THE_DOOR.contains(&head) || begins(AT_THE_DOOR_BEGINNINGS) {
        CreateVerdict::RefusedAtTheDoor(classify(Action::CreatePaiInstance, code))
    } else if begins(BY_BUSINESS_BEGINNINGS) {
        CreateVerdict::RefusedByBusiness
    } else {
        CreateVerdict::Unknown
    }
}
