//! Re-check: what is still looked for once a machine is known, its domain and a second machine of an attempt that lapsed. Pure.
//!
//! Both are asked of the lookup that precedes a create, and seldom: an object whose machines have shown their domains and whose
//! attempts all ended with an answer never asks.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::following::GRACE;
use super::lookup::Found;
use super::name::instance_name;
use super::observe::Observed;
use super::problem::Problem;
use super::proof;
use super::remedy;
use super::step::{SHORT, SLOW};
use crate::api::{LAPSED_LIMIT, LapsedAttempt, PaiInstanceStatus, Reason};
use crate::tencent::{Instance, InstanceState};

/// How often a second machine is looked for after an attempt lapsed. Source: reliability step 12.
const SELDOM: Duration = Duration::from_hours(1);

/// For how long, counted from the attempt's signature. Source: reliability step 12.
const LATE_FOR: Duration = Duration::from_hours(24);

/// What the last complete look showed of one machine's domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// It has our domain.
    Bound,
    /// The cloud no longer offers the list that would tell.
    NoList,
    /// The list shows it without our domain: not at all, with none, or with this other one.
    Unbound {
        /// The other domain, empty if there is none.
        other: String,
    },
}

/// The last complete look of this process at the machines of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recheck {
    /// When it began.
    at: Timestamp,
    /// The request for a fresh look that it answered.
    asked: Option<String>,
    /// What it showed, by machine.
    bindings: BTreeMap<String, Binding>,
}

impl Recheck {
    /// What a look showed of the machines that CVM lists now. Of others its list of domains proves nothing.
    pub fn of(seen: &Observed, found: &Found) -> Self {
        let listed = seen.status.instance_ids.iter().filter(|id| listed(seen, id).is_some());
        Self {
            at: found.begun_at,
            asked: seen.inputs.reconcile_requested_at.clone(),
            bindings: listed.map(|id| (id.clone(), binding_in(found, id, &seen.object.spec.domain_name))).collect(),
        }
    }
}

fn binding_in(found: &Found, id: &str, domain: &str) -> Binding {
    let Some(domains) = &found.domains else { return Binding::NoList };
    if found.with_domain(domain).iter().any(|known| known == id) {
        return Binding::Bound;
    }
    Binding::Unbound { other: domains.get(id).cloned().unwrap_or_default() }
}

fn listed<'a>(seen: &'a Observed, id: &str) -> Option<&'a Instance> {
    seen.listing.as_ref()?.as_ref().ok()?.get(id)
}

/// What is known of a machine's domain; `None` if no complete look has told yet.
pub fn binding(seen: &Observed, id: &str) -> Option<Binding> {
    if seen.status.instances.iter().any(|known| known.id == id && known.domain_name.is_some()) {
        return Some(Binding::Bound);
    }
    seen.recollection.recheck.as_ref()?.bindings.get(id).cloned()
}

/// Whether the machine is so young that its domain may only be late.
///
/// Source: reliability step 16, whose 15 minutes stand for the same doubt: the API promises no read-after-write, and the domain is
/// the last step of a create. They count from the machine's own creation, which a restart or a lost status does not change.
pub fn is_young(seen: &Observed, instance: &Instance, now: Timestamp) -> bool {
    let signed_at = seen.status.create_attempt.as_ref().map(|attempt| attempt.signed_at);
    instance.created_time.or(signed_at).is_some_and(|created| now < created + GRACE)
}

/// The name to look for, where a second machine may still show: that of the attempts that lapsed. Where none may, the cloud's list of
/// domains tells everything.
pub fn name(seen: &Observed) -> Option<String> {
    let lapsed = seen.status.lapsed_attempts.last().map(|lapsed| lapsed.instance_name.clone());
    lapsed.or_else(|| (!seen.status.duplicate_instance_ids.is_empty()).then(|| instance_name(&seen.object).0))
}

/// Whether the cloud must be looked at now for a domain or for a second machine.
pub fn is_due(seen: &Observed, now: Timestamp) -> bool {
    seen.lookup.is_none() && due_in(seen, now).is_some_and(|wait| wait.is_zero())
}

/// How long until the cloud must be looked at for a domain or for a second machine; `None` if it need not be.
pub fn due_in(seen: &Observed, now: Timestamp) -> Option<Duration> {
    if !is_our_account(seen) {
        return None;
    }
    let running = seen.status.instance_ids.iter().filter_map(|id| listed(seen, id).map(|one| (binding(seen, id), one)));
    let running = running.filter(|(_, instance)| instance.instance_state == InstanceState::Running);
    let waits: Vec<Duration> =
        running.filter_map(|(binding, one)| wait_for_domain(seen, binding.as_ref(), one, now)).collect();
    let second = if seen.status.duplicate_instance_ids.is_empty() {
        (!seen.status.lapsed_attempts.is_empty()).then_some(SELDOM)
    } else {
        Some(SLOW)
    };
    let wait = waits.into_iter().chain(second).min()?;
    match &seen.recollection.recheck {
        Some(last) if last.asked == seen.inputs.reconcile_requested_at => {
            Some(Duration::try_from((last.at + wait).duration_since(now)).unwrap_or_default())
        }
        _ => Some(Duration::ZERO),
    }
}

/// How long after the last look the next one is due for the domain of a running machine; `None` if there is nothing to learn.
fn wait_for_domain(
    seen: &Observed,
    binding: Option<&Binding>,
    instance: &Instance,
    now: Timestamp,
) -> Option<Duration> {
    match binding {
        Some(Binding::Bound) => None,
        // The cloud gave its list up; a person may ask again.
        Some(Binding::NoList) => asks_again(seen).then_some(Duration::ZERO),
        Some(Binding::Unbound { .. }) => Some(if is_young(seen, instance, now) { SHORT } else { SLOW }),
        None => Some(Duration::ZERO),
    }
}

fn asks_again(seen: &Observed) -> bool {
    seen.recollection.recheck.as_ref().is_some_and(|last| last.asked != seen.inputs.reconcile_requested_at)
}

/// Whether the present credentials are those that saw one of our machines. What another account lists proves nothing.
fn is_our_account(seen: &Observed) -> bool {
    let (Some(Ok(listing)), Ok(account)) = (&seen.listing, &seen.account) else { return false };
    let secret_id = account.credentials.secret_id.as_str();
    seen.status.instance_ids.iter().any(|id| listing.contains_key(id) || seen.status.known_under(id) == Some(secret_id))
}

/// Machines beside ours that an attempt bought which had been given up: by the look of this pass, else by the last one.
pub fn duplicates(seen: &Observed) -> Vec<String> {
    let before = &seen.status.duplicate_instance_ids;
    let Some(Ok(found)) = &seen.lookup else { return before.clone() };
    let of_a_lapsed_attempt = |one: &Instance| {
        let lapsed = &seen.status.lapsed_attempts;
        lapsed.iter().any(|lapsed| proof::bought_by(found, &seen.object.spec.domain_name, lapsed, one))
    };
    let all = found.named.iter().filter(|one| costs_money(&one.instance_state));
    let ids = all.filter_map(|one| {
        let id = one.instance_id.to_string();
        let second = !seen.status.instance_ids.contains(&id) && (before.contains(&id) || of_a_lapsed_attempt(one));
        second.then_some(id)
    });
    ids.take(100).collect()
}

/// One that is on its way out, or never came up, needs nobody's hand.
fn costs_money(state: &InstanceState) -> bool {
    !matches!(state, InstanceState::Terminating | InstanceState::Shutdown | InstanceState::LaunchFailed)
}

/// What a person is told of a second machine.
pub fn duplicate_found(seen: &Observed) -> Option<Problem> {
    let ids = duplicates(seen);
    if ids.is_empty() {
        return None;
    }
    let ours = seen.status.instance_ids.join(", ");
    let text = format!(
        "A create that had been given up did buy a machine after all: {} is there and billed, beside {ours}. The operator never terminates \
         it, also not when this object is deleted. To end it and its cost, for good: tccli cvm TerminateInstances --region {} --InstanceIds \
         '[{}]', or the console. That is seen within minutes, or at once with: {}",
        ids.join(", "),
        seen.object.spec.region,
        ids.iter().map(|id| format!("\"{id}\"")).collect::<Vec<_>>().join(","),
        remedy::look_again(&seen.object)
    );
    Some(Problem::new(Reason::DuplicateFound, text))
}

/// Writes down what the look of this pass showed and a restart must know.
pub fn fold(seen: &Observed, status: &mut PaiInstanceStatus) {
    let Some(Ok(found)) = &seen.lookup else { return };
    let domain = &seen.object.spec.domain_name;
    for known in status.instances.iter_mut().filter(|known| found.with_domain(domain).contains(&known.id)) {
        known.domain_name = Some(domain.clone());
    }
    if !is_our_account(seen) {
        return;
    }
    status.duplicate_instance_ids = duplicates(seen);
    if status.duplicate_instance_ids.is_empty() {
        status.lapsed_attempts.retain(|lapsed| found.begun_at < lapsed.signed_at + LATE_FOR);
    }
}

/// Notes that the attempt in the status lapsed, so that its machine is looked for later. Of many the latest count.
pub fn note_lapsed(status: &mut PaiInstanceStatus) {
    let Some(attempt) = &status.create_attempt else { return };
    let lapsed = LapsedAttempt {
        signed_at: attempt.signed_at,
        instance_name: attempt.instance_name.clone(),
        name_origin: attempt.name_origin.clone(),
    };
    status.lapsed_attempts.push(lapsed);
    let too_many = status.lapsed_attempts.len().saturating_sub(LAPSED_LIMIT);
    status.lapsed_attempts.drain(..too_many);
}
