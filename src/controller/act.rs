//! Act: carries out exactly one step. The only place with side effects on the cloud, and on the object's finalizer.

use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use kube::api::{Patch, PatchParams};
use tracing::{info, warn};

use super::failure::Act;
use super::memory::Recollection;
use super::objects::Purchasing;
use super::observe::Observed;
use super::record::{self, FIELD_MANAGER, WriteStatus};
use super::step::{Farewell, Outcome, Step};
use super::{Context, adopt, create, recheck, terminate};
use crate::api::{AttemptState, DeletionPolicy, EventReason, FINALIZER, PaiInstance};

/// Carries out the step.
///
/// `claim` is the right to buy for the object's domain, where a lookup was made for a create.
pub async fn act(
    context: &Arc<Context>,
    api: &Api<PaiInstance>,
    seen: &Observed,
    step: Step,
    claim: Option<Purchasing>,
) -> Result<Outcome, Act> {
    match step {
        Step::AddFinalizer => {
            let mut finalizers = seen.object.metadata.finalizers.clone().unwrap_or_default();
            finalizers.push(FINALIZER.to_owned());
            write_finalizers(api, &seen.object, &finalizers).await?;
            Ok(Outcome::Again(Duration::ZERO))
        }
        Step::Create => create::create(context, api, seen, claim).await,
        Step::LookUp => Ok(Outcome::Again(Duration::from_secs(1))),
        Step::Adopt { id } => adopt::adopt(context, api, seen, &id).await,
        Step::CloseAttempt { state, why } => close_attempt(context, api, seen, state, &why).await,
        Step::StartOver => start_over(context, api, seen).await,
        Step::Terminate { id, only_once } => terminate::terminate(context, api, seen, &id, only_once).await,
        Step::RemoveFinalizer { farewell } => {
            let mut finalizers = seen.object.metadata.finalizers.clone().unwrap_or_default();
            finalizers.retain(|name| name != FINALIZER);
            write_finalizers(api, &seen.object, &finalizers).await?;
            say_farewell(context, seen, &farewell).await;
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

/// Writes the finalizers alone, if nobody else has written since: a whole object would lose fields of a newer CRD.
async fn write_finalizers(api: &Api<PaiInstance>, object: &PaiInstance, finalizers: &[String]) -> Result<(), Act> {
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let patch = serde_json::json!({
        "metadata": { "resourceVersion": object.metadata.resource_version, "finalizers": finalizers }
    });
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    match api.patch_metadata(name, &params, &Patch::Merge(&patch)).await {
        Ok(_) => Ok(()),
        // Taking the last finalizer away deletes the object, so a repeated removal finds nothing.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Err(WriteStatus::Conflict.into()),
        Err(error) => Err(Act::WriteObject(Box::new(error))),
    }
}

/// Moves the open attempt to where it belongs; the next pass reports on it.
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
            record::apply(&report, &mut status, &seen.object, context.clock.now());
        }
    }
    if state == AttemptState::Lapsed {
        recheck::note_lapsed(&mut status);
    }
    let told = match &state {
        AttemptState::Held => {
            Some((EventReason::AttemptHeld, "A person must decide; the condition Ready holds the commands."))
        }
        AttemptState::Lapsed => {
            Some((EventReason::AttemptLapsed, "It counts as having bought nothing; the create is tried again."))
        }
        AttemptState::Abandoned => {
            Some((EventReason::AttemptAbandoned, "Nothing is bought until a person asks for it."))
        }
        _ => None,
    };
    record::write(context, api, &seen.object, status).await?;
    if let Some((reason, what)) = told {
        context.events.tell(&seen.object, reason, &format!("The create is settled: {why}. {what}")).await;
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

/// Tells what became of the machine when its object is let go: the last word a person gets.
async fn say_farewell(context: &Context, seen: &Observed, farewell: &Farewell) {
    let ids = seen.status.instance_ids.join(", ");
    let (reason, note) = match farewell {
        Farewell::NoInstance => match seen.status.create_attempt.as_ref() {
            Some(attempt) if matches!(attempt.state, AttemptState::Lapsed | AttemptState::Abandoned) => (
                EventReason::Released,
                format!(
                    "Nobody ever learned whether the create of {} bought a machine: if one named {} shows in {}, it is billed and yours to terminate.",
                    attempt.signed_at, attempt.instance_name, attempt.region
                ),
            ),
            _ => return,
        },
        Farewell::Terminated => (EventReason::Terminated, format!("{ids}: terminated; nothing is billed any more.")),
        Farewell::Recycled => (
            EventReason::Recycled,
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
            (EventReason::Retained, format!("{ids}: left running and still billed, because {why}."))
        }
        Farewell::CrdDeleted => (
            EventReason::Retained,
            format!(
                "{ids}: left running and still billed, because the CustomResourceDefinition itself is being deleted."
            ),
        ),
    };
    let second = match seen.status.duplicate_instance_ids.join(", ") {
        ids if ids.is_empty() => ids,
        ids => format!(
            " {ids}, which a lapsed create bought as well, is left running and billed: terminate it in the console."
        ),
    };
    context.events.tell(&seen.object, reason, &(note + &second)).await;
}
