//! Adopt: records a machine as this object's own, on proof or because a person said so. Writes the status; never the cloud.

use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use tracing::info;

use super::Context;
use super::failure::Act;
use super::following::FRESH;
use super::name::instance_name;
use super::observe::Observed;
use super::problem::Problem;
use super::proof::{Match, judge};
use super::record;
use super::step::{Outcome, Report};
use crate::api::{AdoptedBy, AttemptState, EventReason, InstanceStatus, PaiInstance, PaiInstanceStatus, Reason};

/// Records the machine. One that another object holds is left alone: else an editor could take, and end, any machine of a shared
/// account.
pub async fn adopt(context: &Arc<Context>, api: &Api<PaiInstance>, seen: &Observed, id: &str) -> Result<Outcome, Act> {
    if let Some(holder) = context.objects.holder_of(id, seen.uid()) {
        let text =
            format!("The machine {id} belongs to the PaiInstance {holder}: it is not adopted and nothing is bought.");
        return Ok(Outcome::Report(Report::problem(&Problem::new(Reason::DomainTaken, text), Duration::from_secs(60))));
    }
    let adopted_by = adopted_by(seen, id);
    let mut status = seen.status.clone();
    merge(&mut status, id, adopted_by.clone(), listed_under(seen, id));
    let text = format!("{id} exists and belongs to this object; waiting until it runs.");
    record::apply(
        &Report::progressing(Reason::Provisioning, text, FRESH),
        &mut status,
        &seen.object,
        context.clock.now(),
    );
    record::write(context, api, &seen.object, status).await?;
    info!(uid = seen.uid(), id, ?adopted_by, "found the machine of this object");
    let (reason, note) = match &adopted_by {
        None => (
            EventReason::Found,
            format!("{id} was bought for this object, which had not learned of it: it is recorded now."),
        ),
        Some(AdoptedBy::Domain) => (
            EventReason::Adopted,
            format!(
                "{id} was adopted, as a person said. It stays when this object is deleted, unless spec.deletionPolicy is Delete."
            ),
        ),
        Some(_) => (
            EventReason::Adopted,
            format!(
                "{id} was adopted by its name alone, as a person said. It always stays when this object is deleted."
            ),
        ),
    };
    context.events.tell(&seen.object, reason, &note).await;
    context.memory.update(seen.uid(), |known| {
        known.empty_rounds = None;
        known.hold = None;
        known.failures = 0;
    });
    Ok(Outcome::Again(Duration::from_secs(1)))
}

/// The secret id under which CVM lists the machine, if it does: what another account does not list later is not gone.
fn listed_under(seen: &Observed, id: &str) -> Option<String> {
    let (Some(Ok(found)), Ok(account)) = (&seen.lookup, &seen.account) else { return None };
    let listed = found.named.iter().any(|one| one.instance_id.as_str() == id);
    listed.then(|| account.credentials.secret_id.to_string())
}

/// Folds the machine into the status: an open attempt is closed by it.
pub fn merge(status: &mut PaiInstanceStatus, id: &str, adopted_by: Option<AdoptedBy>, secret_id: Option<String>) {
    if let Some(attempt) = status.create_attempt.as_mut().filter(|attempt| attempt.state.is_open()) {
        attempt.state = AttemptState::Created;
    }
    status.duplicate_instance_ids.retain(|known| known != id);
    if !status.instance_ids.iter().any(|known| known == id) {
        status.instance_ids.push(id.to_owned());
        status.instances.push(InstanceStatus { id: id.to_owned(), adopted_by, secret_id, ..InstanceStatus::default() });
    }
}

/// Nothing for a machine that is proven to be ours; else by what a person recognised it.
fn adopted_by(seen: &Observed, id: &str) -> Option<AdoptedBy> {
    let Some(Ok(found)) = &seen.lookup else {
        return Some(AdoptedBy::Name);
    };
    let open = seen.status.open_attempt();
    let domain = &seen.object.spec.domain_name;
    let origin = open.map_or_else(|| instance_name(&seen.object).1, |attempt| attempt.name_origin.clone());
    match judge(found, domain, &origin, open) {
        Match::Ours(ours) if ours == id => None,
        _ if found.with_domain(domain).iter().any(|known| known == id) => Some(AdoptedBy::Domain),
        _ => Some(AdoptedBy::Name),
    }
}
