//! Act: carries out exactly one step. The only place with side effects on the cloud, and on the object's finalizer.

use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use kube::api::PostParams;
use tracing::{info, warn};

use super::decide::{Farewell, Report, Step};
use super::events::EventKind;
use super::memory::Recollection;
use super::observe::Observed;
use super::problem::{Problem, Retry};
use super::record::{self, FIELD_MANAGER, WriteStatus};
use super::{Context, adopt, create};
use crate::api::conditions::whole_seconds;
use crate::api::{AttemptState, DeletionPolicy, FINALIZER, PaiInstance, Reason};
use crate::tencent::{CallError, InstanceId};

/// How soon a refused termination is tried again. Source: our choice; the machine is billed meanwhile.
const RETRY_TERMINATE: Duration = Duration::from_secs(15);

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

/// Why a step could not be carried out. All of it passes: the pass is repeated from a fresh look.
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

/// Carries out the step.
pub async fn act(context: &Arc<Context>, api: &Api<PaiInstance>, seen: &Observed, step: Step) -> Result<Outcome, Act> {
    match step {
        Step::AddFinalizer => {
            let mut object = seen.object.clone();
            object.metadata.finalizers.get_or_insert_default().push(FINALIZER.to_owned());
            replace(api, &object).await?;
            Ok(Outcome::Again(Duration::ZERO))
        }
        Step::Create => create::create(context, api, seen).await,
        Step::LookUp => Ok(Outcome::Again(Duration::from_secs(1))),
        Step::Adopt { id } => adopt::adopt(context, api, seen, &id).await,
        Step::CloseAttempt { state, why } => close_attempt(context, api, seen, state, &why).await,
        Step::StartOver => start_over(context, api, seen).await,
        Step::Terminate { id, only_once } => terminate(context, api, seen, &id, only_once).await,
        Step::RemoveFinalizer { farewell } => {
            let mut object = seen.object.clone();
            object.metadata.finalizers.get_or_insert_default().retain(|name| name != FINALIZER);
            say_farewell(context, seen, &farewell).await;
            replace(api, &object).await?;
            context.memory.forget(seen.uid());
            info!(uid = seen.uid(), ids = ?seen.status.instance_ids, ?farewell, "released");
            Ok(Outcome::Done)
        }
        Step::Report(report) => Ok(Outcome::Report(report)),
        Step::Wait(next) => Ok(Outcome::Again(next)),
        Step::LetGo => {
            context.memory.forget(seen.uid());
            Ok(Outcome::Done)
        }
    }
}

async fn replace(api: &Api<PaiInstance>, object: &PaiInstance) -> Result<(), Act> {
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    match api.replace(name, &params, object).await {
        Ok(_) => Ok(()),
        // Taking the last finalizer away deletes the object, so a repeated removal finds nothing.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(Act::WriteObject(Box::new(error))),
    }
}

/// Moves an attempt that is `Sending` to where it belongs; the next pass reports on it.
async fn close_attempt(
    context: &Context,
    api: &Api<PaiInstance>,
    seen: &Observed,
    state: AttemptState,
    why: &str,
) -> Result<Outcome, Act> {
    let mut status = seen.status.clone();
    if let Some(attempt) = status.create_attempt.as_mut() {
        warn!(
            uid = seen.uid(),
            attempt = attempt.id,
            ?state,
            why,
            "an attempt is closed without an answer of the cloud"
        );
        attempt.state = state.clone();
        attempt.reason = Some(why.to_owned());
        if attempt.state == AttemptState::Uncertain {
            let report = super::decide::outcome_unknown(attempt, seen.deleting());
            record::apply(&report, &mut status, seen.object.metadata.generation, context.clock.now());
        }
    }
    let told = match &state {
        AttemptState::Held => {
            Some((EventKind::Warning, "AttemptHeld", "A person must decide; the condition Ready holds the commands."))
        }
        AttemptState::Lapsed => {
            Some((EventKind::Normal, "AttemptLapsed", "It counts as having bought nothing; the create is tried again."))
        }
        AttemptState::Abandoned => {
            Some((EventKind::Normal, "AttemptAbandoned", "Nothing is bought until a person asks for it."))
        }
        _ => None,
    };
    record::write(context, api, &seen.object, status).await?;
    if let Some((kind, reason, what)) = told {
        context.events.publish(&seen.object, kind, reason, &format!("The create is settled: {why}. {what}")).await;
    }
    Ok(Outcome::Again(Duration::ZERO))
}

/// Forgets the attempt and the machines that are gone; the next pass creates through all steps.
async fn start_over(context: &Context, api: &Api<PaiInstance>, seen: &Observed) -> Result<Outcome, Act> {
    let mut status = seen.status.clone();
    warn!(uid = seen.uid(), ids = ?status.instance_ids, "a person asked to start over");
    status.create_attempt = None;
    status.instance_ids.clear();
    status.instances.clear();
    status.request_id = None;
    record::write(context, api, &seen.object, status).await?;
    context.memory.update(seen.uid(), |known| {
        *known = Recollection { last_answer: known.last_answer.take(), ..Recollection::default() }
    });
    Ok(Outcome::Again(Duration::ZERO))
}

async fn terminate(
    context: &Context,
    api: &Api<PaiInstance>,
    seen: &Observed,
    id: &str,
    only_once: bool,
) -> Result<Outcome, Act> {
    let account = match &seen.account {
        Ok(account) => account,
        Err(problem) => {
            return Ok(Outcome::Report(Report::problem(problem, Retry::of(problem.reason).look_again())));
        }
    };
    let marked = if only_once { Some(mark_termination(context, api, seen, id).await?) } else { None };
    let result = context.cloud.terminate_instance(account, &InstanceId::new(id), context.clock.now()).await;
    context.metrics.terminated(&result);
    match result {
        Ok(reply) => {
            info!(uid = seen.uid(), id, request_id = reply.request_id, "termination accepted");
            let now = context.clock.now();
            context.memory.update(seen.uid(), |known| {
                known.terminated_at.insert(id.to_owned(), now);
            });
            Ok(Outcome::Again(Duration::from_secs(1)))
        }
        Err(CallError::Refused { error, .. }) if error.code == "InvalidInstanceId.NotFound" => {
            context.memory.update(seen.uid(), |known| {
                known.gone.insert(id.to_owned());
            });
            Ok(Outcome::Again(Duration::ZERO))
        }
        Err(CallError::RateLimited { retry_after }) if marked.is_none() => Ok(Outcome::Again(retry_after)),
        Err(error) => {
            warn!(uid = seen.uid(), id, %error, "termination not accepted");
            let problem = Problem::refused_terminate(id, &error);
            if problem.reason == Reason::CredentialsInvalid {
                context.credentials.drop_cached(&account.credentials.secret_id);
            }
            if let Some(object) = marked
                && was_not_carried_out(&error)
            {
                unmark_termination(context, api, object, id).await?;
                record::tell(context, api, seen, &Report::problem(&problem, RETRY_TERMINATE)).await?;
                return Ok(Outcome::Again(RETRY_TERMINATE));
            }
            Ok(Outcome::Report(Report::problem(&problem, RETRY_TERMINATE)))
        }
    }
}

/// Whether the cloud certainly did not act on the call. `InternalError.TradeUnknownError` is the case where it may have.
fn was_not_carried_out(error: &CallError) -> bool {
    match error {
        CallError::NotSent { .. } | CallError::RateLimited { .. } => true,
        CallError::Refused { error, .. } => !error.code.starts_with("Internal"),
        CallError::NoAnswer { .. } | CallError::Garbled { .. } => false,
    }
}

/// Writes down that the one termination of a prepaid machine is about to be sent. A conflict means that it is not.
async fn mark_termination(
    context: &Context,
    api: &Api<PaiInstance>,
    seen: &Observed,
    id: &str,
) -> Result<PaiInstance, Act> {
    let mut status = record::refreshed(seen);
    for known in status.instances.iter_mut().filter(|known| known.id == id) {
        known.terminate_sent_at = Some(whole_seconds(context.clock.now()));
    }
    Ok(record::write(context, api, &seen.object, status).await?)
}

/// Takes the mark away after a definite refusal, so that a person who lifts the obstacle gets another try.
async fn unmark_termination(
    context: &Context,
    api: &Api<PaiInstance>,
    marked: PaiInstance,
    id: &str,
) -> Result<(), Act> {
    let mut status = marked.status.clone().unwrap_or_default();
    for known in status.instances.iter_mut().filter(|known| known.id == id) {
        known.terminate_sent_at = None;
    }
    record::write(context, api, &marked, status).await?;
    Ok(())
}

/// Tells what became of the machine when its object is let go: the last word a person gets.
async fn say_farewell(context: &Context, seen: &Observed, farewell: &Farewell) {
    let ids = seen.status.instance_ids.join(", ");
    let (kind, reason, note) = match farewell {
        Farewell::NoInstance => return,
        Farewell::Terminated => {
            (EventKind::Normal, "Terminated", format!("{ids}: terminated; nothing is billed any more."))
        }
        Farewell::Recycled => (
            EventKind::Normal,
            "Recycled",
            format!(
                "{ids}: returned, and in the cloud's recycle bin (SHUTDOWN). Renew it in the console to get it back, or destroy it there."
            ),
        ),
        Farewell::Retained => {
            let why = if seen.object.spec.deletion_policy == Some(DeletionPolicy::Retain) {
                "spec.deletionPolicy is Retain"
            } else {
                "it was adopted, not created, by this object"
            };
            (EventKind::Warning, "Retained", format!("{ids}: left running and still billed, because {why}."))
        }
        Farewell::CrdDeleted => (
            EventKind::Warning,
            "Retained",
            format!(
                "{ids}: left running and still billed, because the CustomResourceDefinition itself is being deleted."
            ),
        ),
    };
    context.events.publish(&seen.object, kind, reason, &note).await;
}
