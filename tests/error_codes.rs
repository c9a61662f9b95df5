//! Error codes: the class of every code of the reference, and the verdict on a create for every class of evidence.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic; clippy exempts the test functions alone, not what they share"
)]

use pai_operator::tencent::errors::{ApiError, CallError, Class, CreateVerdict, classify, create_verdict};
use pai_operator::tencent::{Action, CreatePaiInstanceReply, InstanceId, Reply, Service};
use proptest::prelude::{ProptestConfig, proptest};

const REFERENCE: &str = include_str!("fixtures/error-codes.csv");

struct Row {
    code: &'static str,
    actions: Vec<Action>,
    class: Class,
}

fn reference() -> Vec<Row> {
    let mut lines = REFERENCE.lines();
    assert_eq!(lines.next(), Some("code,applies_to,meaning,class"));
    let rows: Vec<Row> = lines.map(row).collect();
    assert_eq!(rows.len(), 227, "rows of the reference: whoever adds a code counts it here");
    rows
}

fn row(line: &'static str) -> Row {
    let cells: Vec<&str> = line.split(',').collect();
    let [code, applies_to, _meaning, class] = cells[..] else {
        panic!("not four cells: {line}");
    };
    let actions = match applies_to {
        "common" => Action::ALL.to_vec(),
        "AS" => Action::ALL.into_iter().filter(|action| action.service() == Service::As).collect(),
        names => names.split(';').map(action).collect(),
    };
    let class = match class {
        "retry" => Class::Retry,
        "throttled" => Class::Throttled,
        "unknown_outcome_on_create" => Class::UnknownOutcomeOnCreate,
        "wait_for_state" => Class::WaitForState,
        "already_done" => Class::AlreadyDone,
        "slow_retry" => Class::SlowRetry,
        "credentials" => Class::Credentials,
        "terminal" => Class::Terminal,
        "broken_instance" => Class::BrokenInstance,
        other => panic!("unknown class {other}: {line}"),
    };
    Row { code, actions, class }
}

fn action(name: &str) -> Action {
    let found = Action::ALL.into_iter().find(|action| action.name() == name);
    found.unwrap_or_else(|| panic!("unknown action {name}"))
}

#[test]
fn every_code_of_the_reference_has_its_class() {
    let mut wrong = Vec::new();
    for Row { code, actions, class } in reference() {
        for action in actions {
            let found = classify(action, code);
            if found != class {
                wrong.push(format!("{code} on {action}: {found:?}, not {class:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn codes_beyond_the_reference_follow_their_family() {
    let rows = [
        (Action::DescribeInstances, "AuthFailure", Class::Credentials),
        (Action::DescribeInstances, "UnauthorizedOperation.Brandnew", Class::Credentials),
        (Action::DescribeInstances, "RequestLimitExceeded.Brandnew", Class::Throttled),
        (Action::DescribeInstances, "RequestSizeLimitExceeded.Brandnew", Class::Terminal),
        (Action::DescribeInstances, "LimitExceeded.Brandnew", Class::SlowRetry),
        (Action::TerminateInstances, "UnsupportedOperation.Brandnew", Class::Terminal),
        (Action::TerminateInstances, "UnsupportedOperation.InstanceStateBrandnew", Class::Terminal),
        (Action::TerminateInstances, "UnsupportedOperation.InstanceStateShutdown", Class::WaitForState),
        (Action::TerminateInstances, "OperationDenied.Brandnew", Class::SlowRetry),
        (Action::TerminateInstances, "Brandnew", Class::SlowRetry),
        (Action::TerminateInstances, "", Class::SlowRetry),
        (Action::TerminateInstances, "invalidparameter", Class::SlowRetry),
        (Action::CreatePaiInstance, "Brandnew", Class::UnknownOutcomeOnCreate),
        (Action::CreatePaiInstance, "InternalServerError", Class::UnknownOutcomeOnCreate),
        (Action::RenewInstances, "Brandnew", Class::UnknownOutcomeOnCreate),
    ];
    for (action, code, class) in rows {
        assert_eq!(classify(action, code), class, "{code} on {action}");
    }
}

fn refused(code: &str) -> Result<Reply<CreatePaiInstanceReply>, CallError> {
    let error = ApiError { code: code.to_owned(), message: String::new(), request_id: None };
    Err(CallError::Refused { error, cloud_time: None })
}

fn created(ids: &[&str]) -> Reply<CreatePaiInstanceReply> {
    let instance_ids = ids.iter().map(|&id| InstanceId::new(id)).collect();
    Reply { value: CreatePaiInstanceReply { instance_ids }, request_id: None, cloud_time: None, deprecated: None }
}

#[test]
fn a_create_is_judged_by_the_first_certain_evidence() {
    let reason = String::new;
    let ids = |ids: &[&str]| CreateVerdict::Created { ids: ids.iter().map(|&id| InstanceId::new(id)).collect() };
    let rows = [
        ("an id", Ok(created(&["ins-1"])), ids(&["ins-1"])),
        ("two ids", Ok(created(&["ins-1", "ins-2"])), ids(&["ins-1", "ins-2"])),
        ("neither ids nor error", Ok(created(&[])), CreateVerdict::Unknown),
        ("not sent", Err(CallError::NotSent { reason: reason() }), CreateVerdict::NotSent),
        (
            "our own limit",
            Err(CallError::RateLimited { retry_after: std::time::Duration::ZERO }),
            CreateVerdict::NotSent,
        ),
        ("no answer", Err(CallError::NoAnswer { reason: reason() }), CreateVerdict::Unknown),
        (
            "a gateway's answer",
            Err(CallError::Garbled { status: 502, reason: reason(), request_id: None }),
            CreateVerdict::Unknown,
        ),
    ];
    for (name, result, verdict) in rows {
        assert_eq!(create_verdict(&result), verdict, "{name}");
    }
}

#[test]
fn a_refused_create_is_judged_by_its_code() {
    use Class::{Credentials, SlowRetry, Terminal, Throttled};
    use CreateVerdict::{RefusedAtTheDoor as Door, RefusedByBusiness as Business, Unknown};
    let rows = [
        // At the door.
        ("AuthFailure", Door(Credentials)),
        ("AuthFailure.SignatureExpire", Door(Credentials)),
        ("AuthFailure.InvalidAuthorization", Door(Terminal)),
        ("UnauthorizedOperation", Door(Credentials)),
        ("UnauthorizedOperation.InvalidToken", Door(Credentials)),
        ("IpInBlacklist", Door(Credentials)),
        ("IpNotInWhitelist", Door(Credentials)),
        ("MissingParameter", Door(Terminal)),
        ("MissingParameter.InScenario", Door(Terminal)),
        ("UnknownParameter", Door(Terminal)),
        ("InvalidParameter", Door(Terminal)),
        ("InvalidParameter.InvalidCombination", Door(Terminal)),
        ("InvalidParameterValue", Door(Terminal)),
        ("InvalidParameterValue.InvalidInstanceType", Door(Terminal)),
        ("InvalidParameterValue.CvmConfigurationError", Door(Terminal)),
        ("InvalidParameterValue.NoResourcePermission", Door(Credentials)),
        ("InvalidParameterConflict", Door(Terminal)),
        ("InvalidRequest", Door(Terminal)),
        ("InvalidAction", Door(Terminal)),
        ("ActionOffline", Door(Terminal)),
        ("NoSuchProduct", Door(Terminal)),
        ("NoSuchVersion", Door(Terminal)),
        ("UnsupportedRegion", Door(Terminal)),
        ("UnsupportedProtocol", Door(Terminal)),
        ("RequestSizeLimitExceeded", Door(Terminal)),
        ("InvalidPermission", Door(Terminal)),
        ("ResourceUnavailable.ZoneUnavailable", Door(SlowRetry)),
        ("RequestLimitExceeded", Door(Throttled)),
        ("RequestLimitExceeded.GlobalRegionUinLimitExceeded", Door(Throttled)),
        // By business rules.
        ("ResourceInsufficient", Business),
        ("ResourceInsufficient.SpecifiedInstanceType", Business),
        ("ResourcesSoldOut.AvailableZone", Business),
        ("LimitExceeded", Business),
        ("LimitExceeded.QuotaNotEnough", Business),
        ("InvalidAccount.InsufficientBalance", Business),
        ("AccountQualificationRestrictions", Business),
        ("UnsupportedOperation", Business),
        ("UnsupportedOperation.SpecialInstanceType", Business),
        // Listed, and yet no certain no.
        ("InternalError", Unknown),
        ("InternalError.CallCnsError", Unknown),
        ("InternalError.RequestError", Unknown),
        ("InternalServerError", Unknown),
        ("ServiceUnavailable", Unknown),
        ("FailedOperation", Unknown),
        ("FailedOperation.Brandnew", Unknown),
        ("ResourceInUse", Unknown),
        ("CallCvmError", Unknown),
        ("ResponseSizeLimitExceeded", Unknown),
        ("DryRunOperation", Unknown),
        ("ResourceNotFound", Unknown),
        // Traps: nearly a certain no.
        ("InvalidParameterValue.CvmError", Unknown),
        ("InvalidParameter.CvmError", Unknown),
        ("InvalidParameterValue.CvmError.Brandnew", Unknown),
        ("ResourceUnavailable", Unknown),
        ("ResourceUnavailable.InstanceInOperation", Unknown),
        ("ResourceUnavailable.ZoneUnavailableSoon", Unknown),
        ("InvalidActionBrandnew", Unknown),
        ("ActionOfflineBrandnew", Unknown),
        ("UnsupportedRegionBrandnew", Unknown),
        ("InvalidInstanceId.NotFound", Unknown),
        ("authfailure", Unknown),
        ("?InvalidParameter", Unknown),
        ("Auth?Failure", Unknown),
        ("X.InvalidParameter", Unknown),
        ("", Unknown),
        (".", Unknown),
        ("Brandnew", Unknown),
    ];
    for (code, verdict) in rows {
        assert_eq!(create_verdict(&refused(code)), verdict, "{code}");
    }
}

/// A code that the reference knows must not both be refused for certain and leave the outcome open.
#[test]
fn class_and_verdict_do_not_contradict_each_other() {
    for Row { code, actions, class } in reference() {
        if !actions.contains(&Action::CreatePaiInstance) {
            continue;
        }
        match create_verdict(&refused(code)) {
            CreateVerdict::RefusedAtTheDoor(found) => assert_eq!(found, class, "{code}"),
            CreateVerdict::RefusedByBusiness => {
                assert!(matches!(class, Class::SlowRetry | Class::Terminal), "{code}");
            }
            verdict => assert_eq!(verdict, CreateVerdict::Unknown, "{code}"),
        }
        if class == Class::UnknownOutcomeOnCreate {
            assert_eq!(create_verdict(&refused(code)), CreateVerdict::Unknown, "{code}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever the cloud invents: a refusal that counts as certain always has a class that says so too.
    #[test]
    fn invented_codes_are_never_certain_and_open_at_once(
        head in "(AuthFailure|InvalidParameter|NoSuch|RequestLimitExceeded|LimitExceeded|FailedOperation|[A-Z][a-z]{1,9})",
        tail in "[A-Za-z.]{0,20}",
    ) {
        let code = format!("{head}{tail}");
        if let CreateVerdict::RefusedAtTheDoor(class) = create_verdict(&refused(&code)) {
            assert_ne!(class, Class::UnknownOutcomeOnCreate, "{code}");
            assert_ne!(class, Class::Retry, "{code}");
        }
    }

    /// What nobody has listed is unknown.
    #[test]
    fn unlisted_codes_leave_the_outcome_open(code in "Zz[A-Za-z.]{0,40}") {
        assert_eq!(create_verdict(&refused(&code)), CreateVerdict::Unknown);
    }
}
