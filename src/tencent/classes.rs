//! What an error code means for the caller, by readable rules. Needs action and code; must never look at the message,
//! which the vendor changes at will.

use super::action::Action;

/// What to do about an error code. Source: the classes of the API reference, section 5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Transient: back off with jitter.
    Retry,
    /// Not carried out, too many calls: back off and slow down.
    Throttled,
    /// Transient for reads and repeatable writes; a create may have happened.
    UnknownOutcomeOnCreate,
    /// Call again only after the observed state has changed.
    WaitForState,
    /// The goal is reached or being reached.
    AlreadyDone,
    /// Capacity, quota or money: minutes to hours.
    SlowRetry,
    /// Key, token, permission or clock.
    Credentials,
    /// Request, spec or upstream must change.
    Terminal,
    /// Needs a person or a new machine.
    BrokenInstance,
}

/// The class of a code that an action was refused with: the whole code first, then families of codes, then
/// [`Class::SlowRetry`], or for a create and a renewal (both cost money) [`Class::UnknownOutcomeOnCreate`].
///
/// For the outcome of a create ask [`super::create_verdict`], which is stricter.
pub fn classify(action: Action, code: &str) -> Class {
    by_action(action, code)
        .or_else(|| by_state(action, code))
        .or_else(|| WHOLE.iter().find(|(whole, _)| *whole == code).map(|&(_, class)| class))
        .or_else(|| by_family(code))
        .unwrap_or(match action {
            Action::CreatePaiInstance | Action::RenewInstances => Class::UnknownOutcomeOnCreate,
            _ => Class::SlowRetry,
        })
}

/// Codes whose meaning depends on the action.
fn by_action(action: Action, code: &str) -> Option<Class> {
    match (code, action) {
        ("InvalidInstanceId.NotFound" | "InvalidInstanceState.Terminating", Action::TerminateInstances) => {
            Some(Class::AlreadyDone)
        }
        ("InvalidInstanceId.NotFound" | "InvalidInstanceState.Terminating", _) => Some(Class::WaitForState),
        ("InternalServerError", Action::CreatePaiInstance | Action::RenewInstances) => {
            Some(Class::UnknownOutcomeOnCreate)
        }
        ("InternalServerError", _) => Some(Class::Retry),
        _ => None,
    }
}

/// `UnsupportedOperation.InstanceState<State>`: the machine is not in a state for the action.
fn by_state(action: Action, code: &str) -> Option<Class> {
    let state = code.strip_prefix("UnsupportedOperation.InstanceState")?;
    match (state, action) {
        ("Running", Action::StartInstances)
        | ("Stopped", Action::StopInstances)
        | ("Terminating" | "Terminated" | "LaunchFailed", Action::TerminateInstances) => Some(Class::AlreadyDone),
        ("Banning" | "Corrupted", _) => Some(Class::BrokenInstance),
        (
            "Running"
            | "Stopped"
            | "Terminating"
            | "Terminated"
            | "Pending"
            | "Starting"
            | "Stopping"
            | "Rebooting"
            | "Shutdown"
            | "Isolating"
            | "Freezing"
            | "EnterRescueMode"
            | "RescueMode"
            | "ExitRescueMode"
            | "EnterServiceLiveMigrate"
            | "ServiceLiveMigrate"
            | "ExitServiceLiveMigrate",
            _,
        ) => Some(Class::WaitForState),
        _ => None,
    }
}

/// Codes that do not follow their family, and codes without one.
const WHOLE: &[(&str, Class)] = &[
    // A fault of the client, unlike the rest of AuthFailure.
    ("AuthFailure.InvalidAuthorization", Class::Terminal),
    ("InvalidParameterValue.NoResourcePermission", Class::Credentials),
    // Busy rather than unavailable.
    ("ResourceUnavailable.InstanceInOperation", Class::Retry),
    ("OperationDenied.InstanceOperationInProgress", Class::Retry),
    ("MutexOperation.TaskRunning", Class::Retry),
    // A failure whose reason is known.
    ("FailedOperation.IllegalTagKey", Class::Terminal),
    ("FailedOperation.IllegalTagValue", Class::Terminal),
    ("FailedOperation.InvalidInstanceApplicationRole", Class::Terminal),
    ("FailedOperation.InvalidInstanceApplicationRoleEmr", Class::Terminal),
    ("FailedOperation.NotFoundEIP", Class::Terminal),
    ("FailedOperation.PromotionalPerioRestriction", Class::Terminal),
    ("FailedOperation.TagKeyReserved", Class::Terminal),
    ("FailedOperation.SecurityGroupActionFailed", Class::SlowRetry),
    ("FailedOperation.Unreturnable", Class::SlowRetry),
    // Limits of a thing, not of the account: they do not pass with time.
    ("LimitExceeded.AssociateUSGLimitExceeded", Class::Terminal),
    ("LimitExceeded.EipNumLimit", Class::Terminal),
    ("LimitExceeded.EniLimitInstanceType", Class::Terminal),
    ("LimitExceeded.EniNumLimit", Class::Terminal),
    ("LimitExceeded.InstanceTypeBandwidth", Class::Terminal),
    // Not supported *now*.
    ("UnsupportedOperation.InstanceReinstallFailed", Class::BrokenInstance),
    ("UnsupportedOperation.LocalDiskMigratingToCloudDisk", Class::WaitForState),
    ("UnsupportedOperation.DiskSnapCreateTimeTooOld", Class::SlowRetry),
    ("UnsupportedOperation.NotSupportUnpaidOrder", Class::SlowRetry),
    ("UnsupportedOperation.UserLimitOperationExceedQuota", Class::SlowRetry),
    ("InvalidInstanceNotSupportedPrepaidInstance", Class::SlowRetry),
    // Malformed or foreign values, each with a family of its own.
    ("InvalidFilter", Class::Terminal),
    ("InvalidFilterValue.LimitExceeded", Class::Terminal),
    ("InvalidHostId.Malformed", Class::Terminal),
    ("InvalidInstance.NotSupported", Class::Terminal),
    ("InvalidInstanceId.Malformed", Class::Terminal),
    ("InvalidInstanceName.TooLong", Class::Terminal),
    ("InvalidInstanceType.Malformed", Class::Terminal),
    ("InvalidPeriod", Class::Terminal),
    ("InvalidSecurityGroupId.NotFound", Class::Terminal),
    ("InvalidSgId.Malformed", Class::Terminal),
    ("InvalidZone.MismatchRegion", Class::Terminal),
];

/// Families: the part before the first dot, or a beginning where the vendor spells it on in the same word
/// (`InvalidParameterValue`, `NoSuchVersion`).
fn by_family(code: &str) -> Option<Class> {
    const BEGINNINGS: &[(&str, Class)] = &[
        ("AuthFailure", Class::Credentials),
        ("UnauthorizedOperation", Class::Credentials),
        ("RequestLimitExceeded", Class::Throttled),
        ("InvalidParameter", Class::Terminal),
        ("InvalidPermission", Class::Terminal),
        ("NoSuch", Class::Terminal),
    ];
    let head = code.split('.').next().unwrap_or_default();
    let class = match head {
        "IpInBlacklist" | "IpNotInWhitelist" => Class::Credentials,
        "FailedOperation" | "InternalError" | "ServiceUnavailable" | "CallCvmError" => Class::UnknownOutcomeOnCreate,
        "ResourceInUse" => Class::Retry,
        "AccountQualificationRestrictions"
        | "InvalidAccount"
        | "LimitExceeded"
        | "ResourceInsufficient"
        | "ResourceUnavailable"
        | "ResourcesSoldOut" => Class::SlowRetry,
        "ActionOffline"
        | "DryRunOperation"
        | "InvalidAction"
        | "InvalidRequest"
        | "MissingParameter"
        | "RequestSizeLimitExceeded"
        | "ResourceNotFound"
        | "ResponseSizeLimitExceeded"
        | "UnknownParameter"
        | "UnsupportedOperation"
        | "UnsupportedProtocol"
        | "UnsupportedRegion" => Class::Terminal,
        _ => {
            return BEGINNINGS.iter().find(|(start, _)| code.starts_with(start)).map(|&(_, class)| class);
        }
    };
    Some(class)
}
