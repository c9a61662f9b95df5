//! Observe: one fresh look at everything a decision may need. Reads only; never the watch cache, which may be old and buy twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::OptionFuture;
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;

use super::Context;
use super::ahead::{Ahead, Looking};
use super::cloud_watch::{Look, RECENT};
use super::following::must_show;
use super::lookup::Found;
use super::memory::{Hold, Inputs, Ownership, Recollection};
use super::problem::{Problem, Retry, reason_of_attempt};
use super::queue::Key;
use super::references::{self, CreateInputs};
use crate::api::conditions;
use crate::api::crd::CRD_NAME;
use crate::api::{
    AttemptState, ConditionType, FINALIZER, PAUSED_ANNOTATION, PaiInstance, PaiInstanceStatus,
    RECONCILE_REQUESTED_ANNOTATION, Reason,
};
use crate::tencent::{Account, Instance};

/// Everything a decision may need, as it was at one moment.
#[derive(Debug)]
pub struct Observed {
    /// The object, read with quorum.
    pub object: PaiInstance,
    /// Its status, empty if it has none.
    pub status: PaiInstanceStatus,
    /// Whose account and which region, or why that is not known.
    pub account: Result<Account, Problem>,
    /// What a create would send beyond the spec; looked at only when a create is possible.
    pub create_inputs: Option<Result<CreateInputs, Problem>>,
    /// Another object, as `namespace/name`, that has a better claim to the same domain and region.
    pub rival: Option<String>,
    /// What a lookup found; made only when `decide` asks for it.
    pub lookup: Option<Result<Found, Problem>>,
    /// Over how long an absence must be seen.
    pub settle_window: Duration,
    /// For how long each id has been absent from complete listings.
    pub absent_for: BTreeMap<String, Duration>,
    /// The machines by id as the cloud lists them now; looked at only when ids are known.
    pub listing: Option<Result<BTreeMap<String, Instance>, Problem>>,
    /// What a create sent now would rest on.
    pub inputs: Inputs,
    /// How this process stands to the attempt in the status.
    pub ownership: Ownership,
    /// What this process remembers.
    pub recollection: Recollection,
    /// Whether the CRD itself is being deleted. A machine must not die because somebody uninstalls an operator.
    pub crd_deleting: bool,
}

impl Observed {
    /// Whether the object is being deleted.
    pub fn deleting(&self) -> bool {
        self.object.metadata.deletion_timestamp.is_some()
    }

    /// Whether our finalizer is on the object.
    pub fn has_finalizer(&self) -> bool {
        has_finalizer(&self.object)
    }

    /// Whether a person has stopped all writes to the cloud.
    pub fn paused(&self) -> bool {
        is_paused(&self.object)
    }

    /// Whether a machine may be bought for it: it has none, none may be on its way, and it is not going.
    pub fn may_buy(&self) -> bool {
        !self.deleting() && self.status.open_attempt().is_none() && self.status.instance_ids.is_empty()
    }

    /// The UID, empty only for an object that never was on a server.
    pub fn uid(&self) -> &str {
        self.object.metadata.uid.as_deref().unwrap_or_default()
    }
}

/// Why nothing could be observed. All of it passes: the pass is repeated with back-off.
#[derive(Debug, thiserror::Error)]
pub enum Observe {
    /// The API server did not give the object.
    #[error("the object cannot be read: {0}")]
    ReadObject(#[source] Box<kube::Error>),
    /// The API server did not say whether our CRD is being deleted.
    #[error("the CustomResourceDefinition cannot be read: {0}")]
    ReadCrd(#[source] Box<kube::Error>),
    /// A Secret or ConfigMap could not be read for a reason that passes.
    #[error("a reference cannot be read: {0}")]
    ReadReference(#[source] Box<kube::Error>),
}

/// Looks at everything. `None` means that the object is gone.
///
/// `ahead` is what is looked for since a watch showed the object.
pub async fn observe(
    context: &Arc<Context>,
    api: &Api<PaiInstance>,
    key: &Key,
    ahead: Option<Looking>,
) -> Result<Option<Observed>, Observe> {
    let read = api.get_opt(&key.name).await;
    let Some(object) = read.map_err(|error| Observe::ReadObject(Box::new(error)))? else { return Ok(None) };
    let ahead = context.turns.wait_for(OptionFuture::from(ahead)).await.and_then(Result::ok).flatten();
    let status = object.status.clone().unwrap_or_default();
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let recollection = context.memory.recall(uid);
    let ownership =
        status.create_attempt.as_ref().map_or(Ownership::Foreign, |attempt| context.memory.ownership(uid, &attempt.id));
    let mut seen = Observed {
        inputs: Inputs {
            generation: object.metadata.generation,
            reconcile_requested_at: annotation(&object, RECONCILE_REQUESTED_ANNOTATION).map(str::to_owned),
            ..Inputs::default()
        },
        account: Err(Problem::new(Reason::Provisioning, "not looked at yet")),
        create_inputs: None,
        rival: None,
        lookup: None,
        settle_window: context.settle_window,
        absent_for: BTreeMap::new(),
        listing: None,
        crd_deleting: false,
        object,
        status,
        ownership,
        recollection,
    };
    if !seen.has_finalizer() {
        return Ok(Some(seen));
    }
    look_at_account(context, &mut seen).await?;
    if !seen.status.instance_ids.is_empty() {
        let looks = look_at_machines(context, key, &seen, ahead).await;
        if let Ok(looks) = &looks {
            note_absences(context, &mut seen, looks);
        }
        seen.listing =
            Some(looks.map(|looks| looks.into_iter().filter_map(|(id, look)| Some((id, look.instance?))).collect()));
        if seen.deleting() {
            seen.crd_deleting = crd_is_being_deleted(context).await?;
        }
    } else if seen.may_buy() {
        seen.rival = context.objects.rival(&seen.object);
        let (inputs, versions) = references::create_inputs(context, &seen.object).await?;
        seen.create_inputs = Some(inputs);
        seen.inputs.reference_versions = versions;
        recall_hold(context, &mut seen);
    }
    Ok(Some(seen))
}

/// Whether our finalizer is on the object.
pub fn has_finalizer(object: &PaiInstance) -> bool {
    object.metadata.finalizers.iter().flatten().any(|name| name == FINALIZER)
}

/// Whether a person has stopped all writes to the cloud for it.
pub fn is_paused(object: &PaiInstance) -> bool {
    annotation(object, PAUSED_ANNOTATION) == Some("true")
}

/// The value of an annotation.
pub fn annotation<'a>(object: &'a PaiInstance, name: &str) -> Option<&'a str> {
    object.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

/// Whose account and which region, or why that is not known.
async fn look_at_account(context: &Context, seen: &mut Observed) -> Result<(), Observe> {
    let namespace = seen.object.metadata.namespace.as_deref().unwrap_or_default();
    let name = &seen.object.spec.credentials_ref.name;
    let read =
        context.credentials.read(&context.api, context.clock.monotonic(), namespace, name, seen.deleting()).await?;
    seen.account = read.and_then(|found| {
        let account = Account::new(found.credentials, &seen.object.spec.region).map_err(|error| {
            Problem::new(Reason::InvalidSpec, format!("spec.region: {error}. Apply a new object with a valid region."))
        })?;
        seen.inputs.credentials_version = found.version;
        Ok(account)
    });
    Ok(())
}

async fn look_at_machines(
    context: &Arc<Context>,
    key: &Key,
    seen: &Observed,
    ahead: Option<Ahead>,
) -> Result<BTreeMap<String, Look>, Problem> {
    let account = seen.account.as_ref().map_err(|problem| {
        context.cloud_watch.tell_of_trouble(context, key, problem);
        problem.clone()
    })?;
    // Who has just changed something in the cloud and asks to look again must not be shown what was before.
    let request = &seen.inputs.reconcile_requested_at;
    let asked_anew = request.is_some() && *request != seen.recollection.last_request;
    let recent = if asked_anew { Duration::ZERO } else { RECENT };
    let ids = &seen.status.instance_ids;
    if let Some(looks) = ahead.filter(|_| !asked_anew).and_then(|ahead| ahead.answers(account, ids)) {
        if let Ok(looks) = &looks {
            context.cloud_watch.note(key, account, looks);
        }
        return looks;
    }
    let look = context.cloud_watch.look(context, key, account, ids, recent);
    let looks = context.turns.wait_for(look).await?;
    if asked_anew {
        let uid = seen.object.metadata.uid.as_deref().unwrap_or_default();
        context.memory.update(uid, |known| known.last_request.clone_from(request));
    }
    Ok(looks)
}

/// Remembers since when each id has been missing.
fn note_absences(context: &Context, seen: &mut Observed, looks: &BTreeMap<String, Look>) {
    count_absences(seen, looks, context.clock.now());
    let (absent_since, listed) = (seen.recollection.absent_since.clone(), seen.recollection.listed);
    let uid = seen.object.metadata.uid.as_deref().unwrap_or_default();
    context.memory.update(uid, |known| (known.absent_since, known.listed) = (absent_since, listed));
}

/// Since when each id has been missing from complete listings of the account that knew it; any other listing says nothing, nor does one
/// from before the machine had to show: another process may have seen it since, and said so in the status.
pub fn count_absences(seen: &mut Observed, looks: &BTreeMap<String, Look>, now: Timestamp) {
    let Ok(account) = &seen.account else { return };
    let asked_under = account.credentials.secret_id.as_str();
    for (id, look) in looks {
        let other_account = seen.status.known_under(id).is_some_and(|known| known != asked_under);
        let counts = look.instance.is_none() && !other_account && must_show(seen, id, now);
        let known = &mut seen.recollection;
        if counts {
            let since = *known.absent_since.entry(id.clone()).or_insert(look.begun);
            seen.absent_for.insert(id.clone(), look.begun.duration_since(since));
        } else {
            known.absent_since.remove(id);
            known.listed |= look.instance.is_some();
        }
    }
}

async fn crd_is_being_deleted(context: &Context) -> Result<bool, Observe> {
    let crds: Api<CustomResourceDefinition> = Api::all(context.api.clone());
    match crds.get_metadata_opt(CRD_NAME).await {
        Ok(crd) => Ok(crd.is_some_and(|crd| crd.metadata.deletion_timestamp.is_some())),
        // An installation with Roles only may not ask: the defence is off there, as the documentation says.
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(false),
        Err(error) => Err(Observe::ReadCrd(Box::new(error))),
    }
}

/// The wait that a refused create is under. After a restart it is taken from the status, once, as if nothing else had changed since.
fn recall_hold(context: &Context, seen: &mut Observed) {
    if seen.recollection.hold.is_some() {
        return;
    }
    let Some(hold) = hold_from_status(seen) else { return };
    context
        .memory
        .update(seen.object.metadata.uid.as_deref().unwrap_or_default(), |known| known.hold = Some(hold.clone()));
    seen.recollection.hold = Some(hold);
}

fn hold_from_status(seen: &Observed) -> Option<Hold> {
    let attempt = seen.status.create_attempt.as_ref().filter(|attempt| attempt.state == AttemptState::Rejected)?;
    let ready = conditions::find(&seen.status.conditions, ConditionType::Ready)?;
    if ready.observed_generation != seen.object.metadata.generation {
        return None;
    }
    // What stands in Ready may be about something else by now, a missing script for example.
    let reason = reason_of_attempt(attempt.reason.as_deref()?);
    if reason.as_str() != ready.reason {
        return None;
    }
    let until = attempt.signed_at + Retry::of(reason).create_delay(1);
    Some(Hold { until, inputs: seen.inputs.clone(), problem: Problem::new(reason, ready.message.clone()) })
}
