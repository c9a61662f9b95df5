//! Record: folds what was seen and done into the status, and writes it only when it changed, by compare-and-swap.

use std::time::Duration;

use jiff::Timestamp;
use kube::Api;
use kube::api::PostParams;

use super::Context;
use super::events::EventKind;
use super::observe::Observed;
use super::step::{Readiness, Report, Standing};
use super::{recheck, remedy};
use crate::api::conditions::{self, PROGRESSING, PROGRESSING_WITH_RETRY, cut_to_bytes};
use crate::api::{AttemptState, ConditionType, InstanceStatus, PaiInstance, PaiInstanceStatus, Reason, Synced};
use crate::tencent::{Instance, InstanceState};

/// Name under which the API server books our fields.
pub const FIELD_MANAGER: &str = "pai-operator";

/// The status could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteStatus {
    /// Somebody else wrote first: look again.
    #[error("the status was changed by somebody else meanwhile")]
    Conflict,
    /// The API server did not take it, or nobody knows whether it did.
    #[error("the status cannot be written: {0}")]
    Failed(#[source] Box<kube::Error>),
}

/// Records a report: the status changes only where it says something new.
pub async fn tell(
    context: &Context,
    api: &Api<PaiInstance>,
    seen: &Observed,
    report: &Report,
) -> Result<(), WriteStatus> {
    let mut status = refreshed(seen);
    apply(report, &mut status, &seen.object, context.clock.now());
    // What is left of a record is written whole again: by the CRD of today the object is invalid without it, and nobody could edit it.
    let must_be_mended = seen
        .status
        .open_attempt()
        .is_some_and(|attempt| attempt.state == AttemptState::Held && attempt.is_incomplete());
    if (status == seen.status && !must_be_mended) || is_told_enough(seen, &status, report, context.clock.now()) {
        return Ok(());
    }
    write(context, api, &seen.object, status).await?;
    Ok(())
}

/// For how long the way of a new machine to its first run is not told state by state. Source: our choice: longer than most machines take,
/// so that a create costs four writes: finalizer, intent, ids, ready.
const QUIET: Duration = Duration::from_mins(5);

/// Whether the status says all that matters already: a machine was bought a moment ago and is on its way, and still is.
fn is_told_enough(seen: &Observed, status: &PaiInstanceStatus, report: &Report, now: Timestamp) -> bool {
    let young = seen.status.create_attempt.as_ref().is_some_and(|attempt| now < attempt.signed_at + QUIET);
    let on_its_way = report.reason == Reason::Provisioning
        && report.standing == Standing::Progressing
        && report.besides.is_none()
        && report.synced == Synced::Success;
    let words = |status: &PaiInstanceStatus| -> Vec<(String, String, String, Option<i64>)> {
        let conditions = status.conditions.iter();
        conditions.map(|c| (c.type_.clone(), c.status.clone(), c.reason.clone(), c.observed_generation)).collect()
    };
    let rest = |status: &PaiInstanceStatus| PaiInstanceStatus {
        conditions: Vec::new(),
        instances: Vec::new(),
        ..status.clone()
    };
    let starting = |one: &Instance| matches!(one.instance_state, InstanceState::Pending | InstanceState::Starting);
    let starts = matches!(&seen.listing, Some(Ok(listing)) if listing.values().all(starting));
    young && on_its_way && starts && words(&seen.status) == words(status) && rest(&seen.status) == rest(status)
}

/// Writes the status over the one that `object` holds, if nobody else has written since, and tells of a new reason in an Event.
pub async fn write(
    context: &Context,
    api: &Api<PaiInstance>,
    object: &PaiInstance,
    status: PaiInstanceStatus,
) -> Result<PaiInstance, WriteStatus> {
    let mut new = object.clone();
    new.status = Some(status);
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let written = api.replace_status(name, &params, &new).await.map_err(|error| match error {
        kube::Error::Api(status) if status.code == 409 => WriteStatus::Conflict,
        error => WriteStatus::Failed(Box::new(error)),
    })?;
    if let Some(took) = first_ready(object.status.as_ref(), new.status.as_ref(), context.clock.now()) {
        context.metrics.got_ready(took);
    }
    for (kind, reason, note) in news(object.status.as_ref(), new.status.as_ref()) {
        context.events.publish(object, kind, &reason, &note).await;
    }
    Ok(written)
}

/// The Events for a change: of the reason of `Ready`, and of a reason for which a person must act besides. None for a retry.
fn news(old: Option<&PaiInstanceStatus>, new: Option<&PaiInstanceStatus>) -> Vec<(EventKind, String, String)> {
    let condition =
        |status: Option<&PaiInstanceStatus>, kind: ConditionType| conditions::find(&status?.conditions, kind).cloned();
    let changed = |kind| {
        let new = condition(new, kind)?;
        condition(old, kind).is_none_or(|old| old.reason != new.reason).then_some(new)
    };
    let ready = condition(new, ConditionType::Ready).map(|ready| ready.reason);
    let besides = changed(ConditionType::Stalled).filter(|stalled| ready.as_deref() != Some(&stalled.reason));
    let calm = ["Available", "Provisioning", "Deleting"];
    let told = changed(ConditionType::Ready).into_iter().chain(besides).map(|condition| {
        let kind = if calm.contains(&condition.reason.as_str()) { EventKind::Normal } else { EventKind::Warning };
        (kind, condition.reason, condition.message)
    });
    told.collect()
}

/// How long after its create the machine got ready, if this write says so first. Not counted is who comes back from another trouble.
fn first_ready(old: Option<&PaiInstanceStatus>, new: Option<&PaiInstanceStatus>, now: Timestamp) -> Option<Duration> {
    let ready = |status: &PaiInstanceStatus| {
        conditions::find(&status.conditions, ConditionType::Ready).map(|ready| ready.reason.clone())
    };
    let under_way = [Reason::Provisioning, Reason::OutcomeUnknown].map(Reason::as_str);
    let from = ready(old?)?;
    let first = under_way.contains(&from.as_str()) && ready(new?)? == Reason::Available.as_str();
    let sent = old?.create_attempt.as_ref()?.signed_at;
    first.then(|| Duration::try_from(now.duration_since(sent)).unwrap_or_default())
}

/// The status with the machines as they are listed now.
pub fn refreshed(seen: &Observed) -> PaiInstanceStatus {
    let mut status = seen.status.clone();
    let (Some(Ok(listing)), Ok(account)) = (&seen.listing, &seen.account) else {
        return status;
    };
    let secret_id = account.credentials.secret_id.to_string();
    for id in &seen.status.instance_ids {
        let Some(instance) = listing.get(id) else { continue };
        let old = status.instances.iter().find(|known| known.id == *id);
        let fresh = InstanceStatus {
            terminate_sent_at: old.and_then(|old| old.terminate_sent_at),
            adopted_by: old.and_then(|old| old.adopted_by.clone()),
            domain_name: old.and_then(|old| old.domain_name.clone()),
            ..shown(id, instance, &secret_id)
        };
        match status.instances.iter_mut().find(|known| known.id == *id) {
            Some(place) => *place = fresh,
            None => status.instances.push(fresh),
        }
    }
    recheck::fold(seen, &mut status);
    status
}

/// One machine, seen under a secret id, in the form of the status. Every text comes from outside, so every text is cut to the schema's
/// bound.
pub fn shown(id: &str, instance: &Instance, secret_id: &str) -> InstanceStatus {
    let word = |text: &str| cut_to_bytes(text, 64).to_owned();
    let optional = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(word);
    let addresses = |list: &[String]| list.iter().take(10).map(|address| word(address)).collect();
    InstanceStatus {
        id: id.to_owned(),
        state: Some(word(instance.instance_state.as_str())),
        zone: optional(&instance.placement.zone),
        instance_type: optional(&instance.instance_type),
        charge_type: optional(&instance.instance_charge_type),
        public_ip_addresses: addresses(&instance.public_ip_addresses),
        private_ip_addresses: addresses(&instance.private_ip_addresses),
        created_time: instance.created_time.map(|time| time.to_string()),
        expired_time: instance.expired_time.map(|time| time.to_string()),
        latest_operation: optional(&instance.latest_operation),
        latest_operation_state: optional(&instance.latest_operation_state),
        restrict_state: optional(&instance.restrict_state).filter(|state| state != "NORMAL"),
        domain_name: None,
        adopted_by: None,
        secret_id: Some(secret_id.to_owned()),
        terminate_sent_at: None,
    }
}

/// Folds a report into the conditions.
pub fn apply(report: &Report, status: &mut PaiInstanceStatus, object: &PaiInstance, now: Timestamp) {
    let generation = object.metadata.generation;
    let message = &remedy::message(report, object);
    status.observed_generation = generation;
    let reason = report.reason.as_str();
    let mut set = |kind, value, reason: &str, message: &str| {
        conditions::set(&mut status.conditions, kind, value, reason, message, generation, now);
    };
    match report.ready {
        Readiness::Ready => set(ConditionType::Ready, true, reason, message),
        Readiness::NotReady => set(ConditionType::Ready, false, reason, message),
        Readiness::AsBefore => {}
    }
    let compared = match report.synced {
        Synced::Success => "The object and the cloud were compared.",
        Synced::Error => message,
        Synced::Paused => "Nothing is written to the cloud until the annotation pai.tencentcloud.io/paused is removed.",
    };
    set(ConditionType::Synced, report.synced == Synced::Success, report.synced.reason(), compared);
    match report.standing {
        Standing::Progressing => set(ConditionType::Reconciling, true, PROGRESSING, message),
        Standing::Retrying => set(ConditionType::Reconciling, true, PROGRESSING_WITH_RETRY, message),
        Standing::NeedsPerson => match &report.besides {
            Some(other) => set(ConditionType::Stalled, true, other.reason.as_str(), &other.message),
            None => set(ConditionType::Stalled, true, reason, message),
        },
        Standing::Settled => {}
    }
    if !matches!(report.standing, Standing::Progressing | Standing::Retrying) {
        conditions::clear(&mut status.conditions, ConditionType::Reconciling);
    }
    if report.standing != Standing::NeedsPerson {
        conditions::clear(&mut status.conditions, ConditionType::Stalled);
    }
    if conditions::find(&status.conditions, ConditionType::Ready).is_none() {
        conditions::set(
            &mut status.conditions,
            ConditionType::Ready,
            false,
            Reason::Provisioning.as_str(),
            message,
            generation,
            now,
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::controller::problem::Problem;

    #[test]
    fn what_stands_besides_leaves_ready_alone_and_is_told_once() {
        let spec = serde_json::json!({
            "region": "r", "credentialsRef": {"name": "c"}, "domainName": "a.b", "internetAccessible": {}
        });
        let object = PaiInstance::new("web", serde_json::from_value(spec).unwrap());
        let well = Report {
            ready: Readiness::Ready,
            standing: Standing::Settled,
            ..Report::progressing(Reason::Available, "It runs.", Duration::ZERO)
        };
        let besides = Some(Problem::new(Reason::DuplicateFound, "A second one."));
        let two = Report { standing: Standing::NeedsPerson, besides, ..well.clone() };
        let mut status = PaiInstanceStatus::default();
        apply(&well, &mut status, &object, Timestamp::UNIX_EPOCH);
        let before = status.clone();
        apply(&two, &mut status, &object, Timestamp::UNIX_EPOCH);
        let conditions: Vec<_> =
            status.conditions.iter().map(|c| (c.type_.as_str(), c.status.as_str(), c.reason.as_str())).collect();
        assert!(conditions.contains(&("Ready", "True", "Available")), "{conditions:?}");
        assert!(conditions.contains(&("Stalled", "True", "DuplicateFound")), "{conditions:?}");
        let told: Vec<_> =
            news(Some(&before), Some(&status)).into_iter().map(|(_, reason, note)| (reason, note)).collect();
        assert_eq!(told, [("DuplicateFound".to_owned(), "A second one.".to_owned())]);
        assert!(news(Some(&status), Some(&status)).is_empty());
        apply(&well, &mut status, &object, Timestamp::UNIX_EPOCH);
        assert!(!status.conditions.iter().any(|c| c.type_ == "Stalled"));
    }
}
