//! Terminate: one machine, one call, and what a refusal means. A prepaid machine is asked for once in its life.

use std::time::Duration;

use kube::Api;
use tracing::{info, warn};

use super::Context;
use super::create::GATE;
use super::failure::Act;
use super::following::FRESH;
use super::memory::Hold;
use super::observe::Observed;
use super::problem::{Problem, Retry};
use super::record::{self, WriteStatus};
use super::step::{Outcome, Report};
use crate::api::conditions::whole_seconds;
use crate::api::{PaiInstance, PaiInstanceStatus, Reason};
use crate::tencent::{Account, CallError, InstanceId, Reply};

/// How soon a refusal that passes by itself is tried again. Source: our choice; the machine is billed meanwhile.
const SOON: Duration = Duration::from_secs(15);

/// How soon one that takes a person is tried again unasked. Source: our choice; an edit or the annotation asks at once.
const SLOW: Duration = Duration::from_secs(300);

/// Beginnings of codes by which the cloud says that it did nothing. Every other answer leaves open whether it acted.
const NOT_CARRIED_OUT: &[&str] = &[
    "ActionOffline",
    "AuthFailure",
    "FailedOperation.Unreturnable",
    "InvalidAccount",
    "InvalidAction",
    "InvalidInstance",
    "InvalidParameter",
    "LimitExceeded",
    "MissingParameter",
    "MutexOperation",
    "OperationDenied",
    "RequestLimitExceeded",
    "UnauthorizedOperation",
    "UnknownParameter",
    "UnsupportedOperation",
    "UnsupportedRegion",
];

/// Terminates one machine. What was seen last is written down first: the secret id under which the machine was seen, and for a prepaid
/// one that it is asked for now, since a second call would destroy it.
pub async fn terminate(
    context: &Context,
    api: &Api<PaiInstance>,
    seen: &Observed,
    id: &str,
    only_once: bool,
) -> Result<Outcome, Act> {
    let account = match &seen.account {
        Ok(account) => account,
        Err(problem) => return Ok(Outcome::Report(Report::problem(problem, Retry::of(problem.reason).look_again()))),
    };
    let begun = context.clock.monotonic();
    let written = write_down(context, api, seen, id, only_once).await?;
    // Of what was decided before a hold-up a person, or the next leader, may have decided otherwise since.
    let held_up = context.clock.monotonic().duration_since(begun) >= GATE || context.leadership.is_lost();
    if held_up && !only_once {
        return Ok(Outcome::Again(Duration::from_secs(1)));
    }
    let result = if held_up {
        Err(CallError::NotSent { reason: "the operator was held up before sending".to_owned() })
    } else {
        call(context, account, id).await
    };
    match result {
        Ok(reply) => {
            info!(uid = seen.uid(), id, request_id = reply.request_id, "termination accepted");
            let now = context.clock.now();
            context.memory.update(seen.uid(), |known| {
                known.terminated_at.insert(id.to_owned(), now);
                known.refused_termination = None;
            });
            Ok(Outcome::Again(Duration::from_secs(1)))
        }
        Err(CallError::Refused { error, .. }) if error.code == "InvalidInstanceId.NotFound" => {
            context.memory.update(seen.uid(), |known| {
                known.gone.insert(id.to_owned());
            });
            Ok(Outcome::Again(Duration::ZERO))
        }
        Err(CallError::RateLimited { retry_after }) if !only_once => Ok(Outcome::Again(retry_after)),
        Err(error) => refused(context, api, seen, written, (id, only_once), &error).await,
    }
}

async fn call(context: &Context, account: &Account, id: &str) -> Result<Reply<()>, CallError> {
    let id = InstanceId::new(id);
    let result = context.turns.wait_for(context.cloud.terminate_instance(account, &id, context.clock.now())).await;
    context.metrics.terminated(&result);
    result
}

/// Writes what a restart must know, if it is not written yet. A conflict means that nothing is sent.
async fn write_down(
    context: &Context,
    api: &Api<PaiInstance>,
    seen: &Observed,
    id: &str,
    only_once: bool,
) -> Result<PaiInstance, Act> {
    let mut status = record::refreshed(seen);
    if only_once {
        for known in status.instances.iter_mut().filter(|known| known.id == id) {
            known.terminate_sent_at = Some(whole_seconds(context.clock.now()));
        }
    }
    let text = format!("The termination of {id} is asked for.");
    // A repeated call says nothing new: what stood in its way stays in the condition until it is out of the way.
    if seen.recollection.refused_termination.is_none() {
        let report = Report::progressing(Reason::Deleting, text, FRESH);
        record::apply(&report, &mut status, &seen.object, context.clock.now());
    }
    if status == seen.status {
        return Ok(seen.object.clone());
    }
    Ok(record::write(context, api, &seen.object, status).await?)
}

/// How often the end of a call that may not be made twice is written, should the API server not take it. Source: our choice: what is not
/// written then, a person must settle.
const TRIES: u32 = 5;

/// Pause between two of these. Source: our choice.
const PAUSE: Duration = Duration::from_secs(1);

/// Records a refusal on the object as it was written last, and remembers it, so that it is not repeated at once.
async fn refused(
    context: &Context,
    api: &Api<PaiInstance>,
    seen: &Observed,
    written: PaiInstance,
    (id, only_once): (&str, bool),
    error: &CallError,
) -> Result<Outcome, Act> {
    warn!(uid = seen.uid(), id, %error, "termination not accepted");
    let problem = Problem::refused_terminate(id, error);
    if let (Reason::CredentialsInvalid, Ok(account)) = (problem.reason, &seen.account) {
        context.credentials.drop_cached(&account.credentials.secret_id);
    }
    let next = if problem.reason.needs_a_person() { SLOW } else { SOON };
    let report = Report::problem(&problem, next);
    let hold = Hold { until: context.clock.now() + next, inputs: seen.inputs.clone(), problem };
    context.memory.update(seen.uid(), |known| known.refused_termination = Some(hold));
    // It may be asked for again, which only this process knows: this is not left to the next pass.
    let reopens = only_once && was_not_carried_out(error);
    write_refusal(context, api, written, id, reopens, &report).await?;
    Ok(Outcome::Again(next.min(Duration::from_secs(60))))
}

/// Writes a refusal down: at once or not at all, unless it allows another call, which is tried a few times.
///
/// A write whose answer was lost may have landed, and another process may have called since: then nothing is taken back.
async fn write_refusal(
    context: &Context,
    api: &Api<PaiInstance>,
    mut object: PaiInstance,
    id: &str,
    reopens: bool,
    report: &Report,
) -> Result<(), WriteStatus> {
    let mut tries = if reopens { TRIES } else { 1 };
    let mut in_doubt = false;
    loop {
        let mut status: PaiInstanceStatus = object.status.clone().unwrap_or_default();
        for known in status.instances.iter_mut().filter(|known| reopens && known.id == id) {
            known.terminate_sent_at = None;
        }
        record::apply(report, &mut status, &object, context.clock.now());
        if object.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let Err(failed) = record::write(context, api, &object, status).await else { return Ok(()) };
        tries -= 1;
        in_doubt |= matches!(failed, WriteStatus::Failed(_));
        if tries == 0 {
            return Err(failed);
        }
        warn!(id, %failed, "a refused termination is not written yet: trying again");
        tokio::time::sleep(PAUSE).await;
        // Without an answer it is written once more over what was read before, which fails if anything has landed.
        let Ok(now) = api.get_opt(object.metadata.name.as_deref().unwrap_or_default()).await else { continue };
        let Some(now) = now.filter(|now| now.metadata.uid == object.metadata.uid) else { return Ok(()) };
        if in_doubt && now.metadata.resource_version != object.metadata.resource_version {
            return Err(failed);
        }
        (object, in_doubt) = (now, false);
    }
}

/// Whether the cloud certainly did not act on the call. `InternalError.TradeUnknownError` is one of the many cases where it may have.
fn was_not_carried_out(error: &CallError) -> bool {
    match error {
        CallError::NotSent { .. } | CallError::RateLimited { .. } => true,
        CallError::Refused { error, .. } => NOT_CARRIED_OUT.iter().any(|start| error.code.starts_with(start)),
        CallError::NoAnswer { .. } | CallError::Garbled { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tencent::ApiError;

    #[test]
    fn only_a_definite_refusal_allows_a_second_call() {
        let refused = |code: &str| CallError::Refused {
            error: ApiError { code: code.to_owned(), message: String::new(), request_id: None },
            cloud_time: None,
        };
        let rows = [
            ("UnsupportedOperation.InstancesProtected", true),
            ("FailedOperation.Unreturnable", true),
            ("LimitExceeded.UserReturnQuota", true),
            ("InvalidInstanceNotSupportedPrepaidInstance", true),
            ("OperationDenied.InstanceOperationInProgress", true),
            ("AuthFailure.SignatureFailure", true),
            ("InternalError.TradeUnknownError", false),
            ("InternalServerError", false),
            ("ServiceUnavailable", false),
            ("FailedOperation", false),
            ("ResourceInUse", false),
            ("SomethingNobodyListed", false),
        ];
        for (code, expected) in rows {
            assert_eq!(was_not_carried_out(&refused(code)), expected, "{code}");
        }
        assert!(!was_not_carried_out(&CallError::NoAnswer { reason: String::new() }));
        assert!(was_not_carried_out(&CallError::NotSent { reason: String::new() }));
    }
}
