//! What went wrong, in a person's words: what happened, what it costs, what to do next. Pure; never holds a secret.

use std::time::Duration;

use crate::api::{PaiInstanceSpec, Reason};
use crate::tencent::{Action, ApiError, CallError, Class, classify};

/// Something that keeps an object from being ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The reason of `Ready=False`.
    pub reason: Reason,
    /// What a person reads: what happened, what it costs, what to do next.
    pub message: String,
}

/// How a problem is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It passes by itself: 1 s to 5 min, doubling.
    Soon,
    /// It passes in minutes (stock, quota, balance): 1 to 10 min, doubling.
    Minutes,
    /// A Secret, a ConfigMap or a Role must be mended: looked at every minute; an unmended create is repeated after 5 min.
    WhenMended,
    /// The spec or the account must change: repeated after an hour at most.
    WhenEdited,
}

impl Retry {
    /// How a problem with this reason is tried again. Source: our choice (house style, section 5).
    pub fn of(reason: Reason) -> Self {
        use Reason as R;
        match reason {
            R::OutOfStock | R::QuotaExceeded | R::InsufficientBalance => Self::Minutes,
            R::CredentialsNotFound
            | R::CredentialsForbidden
            | R::CredentialsInvalid
            | R::CredentialsChanged
            | R::ReferenceNotFound
            | R::ReferenceForbidden => Self::WhenMended,
            R::InvalidSpec | R::ApiRetired | R::RegionUnsupported => Self::WhenEdited,
            _ => Self::Soon,
        }
    }

    /// How long a refused create waits while nothing about it changes, after this many failures in a row (counted from 1).
    pub fn create_delay(self, failures: u32) -> Duration {
        match self {
            Self::Soon => doubled(1, 300, failures),
            Self::Minutes => doubled(60, 600, failures),
            Self::WhenMended => Duration::from_mins(5),
            Self::WhenEdited => Duration::from_hours(1),
        }
    }

    /// How soon to look again whether something was mended; never later than the next try.
    pub fn look_again(self) -> Duration {
        match self {
            Self::Soon | Self::Minutes => Duration::from_mins(5),
            Self::WhenMended => Duration::from_mins(1),
            Self::WhenEdited => Duration::from_hours(1),
        }
    }
}

/// The wait after so many failures in a row (counted from 1), in whole seconds: the first one, doubled by each further failure up to the most.
pub fn doubled(first: u64, most: u64, failures: u32) -> Duration {
    Duration::from_secs((first << failures.saturating_sub(1).min(16)).min(most))
}

impl Problem {
    /// A problem with this reason.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// A create that the cloud definitely refused: nothing was bought.
    pub fn refused_create(error: &ApiError, spec: &PaiInstanceSpec) -> Self {
        let reason = reason_of(Action::CreatePaiInstance, &error.code);
        let advice = match reason {
            Reason::InvalidSpec if error.code == "UnknownParameter" && spec.system_disk.is_some() => {
                "spec.systemDisk is not in the cloud's parameter table: remove spec.systemDisk from the object and it is tried again at once"
            }
            Reason::InvalidSpec => "Mend the spec and it is tried again at once",
            _ => advice(reason, &error.code),
        };
        Self::new(reason, format!("Nothing was bought: {}. {advice}.{}", refusal(error), request_id(error)))
    }

    /// A create that never left this machine: nothing was bought.
    pub fn create_not_sent(why: &str) -> Self {
        Self::new(
            Reason::CloudUnavailable,
            format!("Nothing was sent and nothing was bought: {why}. It is tried again by itself."),
        )
    }

    /// A read that failed. It costs nothing and changes nothing.
    pub fn failed_read(action: Action, error: &CallError) -> Self {
        match error {
            CallError::Refused { error, .. } => {
                let reason = match reason_of(action, &error.code) {
                    Reason::InvalidSpec => Reason::CloudUnavailable,
                    reason => reason,
                };
                let text = format!(
                    "The machine cannot be looked at: {}. {}.{}",
                    refusal(error),
                    advice(reason, &error.code),
                    request_id(error)
                );
                Self::new(reason, text)
            }
            CallError::RateLimited { .. } => Self::new(
                Reason::CloudThrottled,
                "The machine was not looked at, to stay within the cloud's rate limits. It is tried again by itself.",
            ),
            other => Self::new(
                Reason::CloudUnavailable,
                format!("The machine cannot be looked at: {other}. It is tried again by itself."),
            ),
        }
    }

    /// A lookup before a create that failed: without it nothing may be bought.
    pub fn failed_lookup(action: Action, error: &CallError) -> Self {
        let read = Self::failed_read(action, error);
        let reason = if read.reason == Reason::ApiRetired { Reason::CloudUnavailable } else { read.reason };
        let words = match error {
            CallError::Refused { error, .. } => {
                format!("{}. {}.{}", refusal(error), advice(reason, &error.code), request_id(error))
            }
            CallError::RateLimited { .. } => {
                "it has to wait, to stay within the cloud's rate limits. It is tried again by itself.".to_owned()
            }
            other => format!("{other}. It is tried again by itself."),
        };
        Self::new(
            reason,
            format!(
                "Nothing was bought: before a create the cloud is searched for a machine with this domain or name, and that failed: {words}"
            ),
        )
    }

    /// A termination that the cloud did not accept. The machine still runs and is billed.
    pub fn refused_terminate(id: &str, error: &CallError) -> Self {
        let CallError::Refused { error, .. } = error else {
            return Self::new(
                Reason::Deleting,
                format!(
                    "The answer to the termination of {id} is missing ({error}): it is looked at again in a moment."
                ),
            );
        };
        let (reason, advice) = match error.code.as_str() {
            "UnsupportedOperation.InstancesProtected" => (
                Reason::DeleteProtected,
                "switch its termination protection off in the console, or set spec.deletionPolicy to Retain to leave it running and billed".to_owned(),
            ),
            code if is_not_returnable(code) => (
                Reason::NotReturnable,
                "return it in the console, or set spec.deletionPolicy to Retain to leave it running and billed".to_owned(),
            ),
            code => match classify(Action::TerminateInstances, code) {
                Class::Retry | Class::WaitForState | Class::AlreadyDone | Class::UnknownOutcomeOnCreate | Class::SlowRetry => {
                    (Reason::Deleting, "it is tried again by itself".to_owned())
                }
                Class::BrokenInstance | Class::Terminal => (
                    match reason_of(Action::TerminateInstances, code) {
                        Reason::InvalidSpec => Reason::NotReturnable,
                        reason => reason,
                    },
                    "mend it in the console, or set spec.deletionPolicy to Retain to leave it as it is".to_owned(),
                ),
                Class::Credentials | Class::Throttled => {
                    let reason = reason_of(Action::TerminateInstances, code);
                    (reason, advice(reason, code).to_owned())
                }
            },
        };
        let text =
            format!("{id} was not terminated and is still billed: {}: {advice}.{}", refusal(error), request_id(error));
        Self::new(reason, text)
    }
}

/// Codes of a machine that the cloud does not take back (for now). Source: reliability section 3.
fn is_not_returnable(code: &str) -> bool {
    matches!(
        code,
        "FailedOperation.Unreturnable"
            | "LimitExceeded.UserReturnQuota"
            | "InvalidInstanceNotSupportedPrepaidInstance"
            | "UnsupportedOperation.RedHatInstanceTerminateUnsupported"
            | "UnsupportedOperation.UserLimitOperationExceedQuota"
    )
}

/// The cloud's own words, shortened to one line.
fn refusal(error: &ApiError) -> String {
    format!("the cloud answered {}: {}", error.code, error.message.trim_end_matches(['.', ' ']))
}

fn request_id(error: &ApiError) -> String {
    error.request_id.as_deref().map(|id| format!(" RequestId {id}")).unwrap_or_default()
}

/// The reason for an error code. Source: `error-codes.csv` and the table of step 9 of the creation protocol.
fn reason_of(action: Action, code: &str) -> Reason {
    let family = code.split('.').next().unwrap_or(code);
    match (code, family) {
        ("AuthFailure.SignatureExpire", _) => Reason::CloudUnavailable,
        ("InvalidParameterValue.NoResourcePermission", _)
        | (_, "AuthFailure" | "UnauthorizedOperation" | "IpInBlacklist" | "IpNotInWhitelist" | "InvalidPermission") => {
            Reason::CredentialsInvalid
        }
        (_, "InvalidAction" | "ActionOffline" | "NoSuchVersion" | "NoSuchProduct") => Reason::ApiRetired,
        (_, "UnsupportedRegion") => Reason::RegionUnsupported,
        (_, "RequestLimitExceeded") => Reason::CloudThrottled,
        (_, "ResourceInsufficient" | "ResourcesSoldOut" | "ResourceUnavailable") => Reason::OutOfStock,
        (_, "LimitExceeded") => Reason::QuotaExceeded,
        (_, "InvalidAccount" | "AccountQualificationRestrictions") => Reason::InsufficientBalance,
        _ => match classify(action, code) {
            Class::Retry | Class::UnknownOutcomeOnCreate | Class::Throttled => Reason::CloudUnavailable,
            Class::Credentials => Reason::CredentialsInvalid,
            _ => Reason::InvalidSpec,
        },
    }
}

/// The reason that a refused create was given, from the word that its attempt keeps.
pub fn reason_of_attempt(word: &str) -> Reason {
    if word == "NotSent" { Reason::CloudUnavailable } else { reason_of(Action::CreatePaiInstance, word) }
}

/// What to do about it.
fn advice(reason: Reason, code: &str) -> &'static str {
    match reason {
        Reason::CloudUnavailable if code == "AuthFailure.SignatureExpire" => {
            "The operator's clock is more than five minutes off: mend the node's clock; it is tried again by itself"
        }
        Reason::CredentialsInvalid => {
            "Mend the credentials Secret or the account's permissions: it is looked at again every minute"
        }
        Reason::ApiRetired => {
            "The cloud no longer offers this action to the account: ask the cloud's support whether it can be opened; it is tried again every hour"
        }
        Reason::RegionUnsupported => {
            "The cloud does not offer this in the region: delete this object and apply one in another region"
        }
        Reason::CloudThrottled => "Too many calls: it is tried again by itself, more slowly",
        Reason::OutOfStock => {
            "It is tried again every few minutes, or at once with other instanceTypes or zones in the spec"
        }
        Reason::QuotaExceeded => {
            "Ask for more quota in the console or release something: it is tried again every few minutes"
        }
        Reason::InsufficientBalance => {
            "Top the account up or complete its verification: it is tried again every few minutes"
        }
        _ => "It is tried again by itself",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_by_code() {
        let rows = [
            ("AuthFailure.SecretIdNotFound", Reason::CredentialsInvalid),
            ("AuthFailure.SignatureFailure", Reason::CredentialsInvalid),
            ("AuthFailure.SignatureExpire", Reason::CloudUnavailable),
            ("InvalidAction", Reason::ApiRetired),
            ("ActionOffline", Reason::ApiRetired),
            ("UnsupportedRegion", Reason::RegionUnsupported),
            ("RequestLimitExceeded.UinLimitExceeded", Reason::CloudThrottled),
            ("RequestSizeLimitExceeded", Reason::InvalidSpec),
            ("ResourceInsufficient", Reason::OutOfStock),
            ("ResourcesSoldOut.SpecifiedInstanceType", Reason::OutOfStock),
            ("LimitExceeded.QuotaNotEnough", Reason::QuotaExceeded),
            ("InvalidAccount.InsufficientBalance", Reason::InsufficientBalance),
            ("UnknownParameter", Reason::InvalidSpec),
            ("InvalidParameterValue.InvalidInstanceType", Reason::InvalidSpec),
        ];
        for (code, expected) in rows {
            assert_eq!(reason_of(Action::CreatePaiInstance, code), expected, "{code}");
        }
    }

    #[test]
    fn delays_double_up_to_their_bound() {
        let seconds = |retry: Retry, failures| retry.create_delay(failures).as_secs();
        assert_eq!([1, 2, 3, 40].map(|n| seconds(Retry::Soon, n)), [1, 2, 4, 300]);
        assert_eq!([1, 2, 5, 40].map(|n| seconds(Retry::Minutes, n)), [60, 120, 600, 600]);
        assert_eq!(seconds(Retry::WhenEdited, 1), 3600);
    }
}
