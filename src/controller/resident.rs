//! What is kept of one watched object, and the questions that it answers: does a change ask for a pass, is the object at rest. Pure.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::observe::{annotation, has_finalizer};
use super::shown::Shown;
use crate::api::{
    AttemptState, InstanceStatus, PAUSED_ANNOTATION, PaiInstance, PaiInstanceStatus, RECONCILE_REQUESTED_ANNOTATION,
    RESOLVE_CREATE_ANNOTATION,
};

/// The annotations that ask something of us.
const ANNOTATIONS: [&str; 3] = [PAUSED_ANNOTATION, RECONCILE_REQUESTED_ANNOTATION, RESOLVE_CREATE_ANNOTATION];

/// A domain name in a region: what two objects cannot both have.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain {
    region: Box<str>,
    name: Box<str>,
}

impl Domain {
    /// The one that an object asks for.
    pub fn of(object: &PaiInstance) -> Self {
        Self { region: object.spec.region.as_str().into(), name: object.spec.domain_name.as_str().into() }
    }
}

/// The order of claims to a domain, smallest first: who has a machine or an attempt, then the older, then the smaller UID.
///
/// Source: reliability step 3.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    not_begun: bool,
    created: Option<i64>,
    uid: Box<str>,
}

impl Claim {
    /// The claim of an object.
    pub fn of(object: &PaiInstance) -> Self {
        let begun = object
            .status
            .as_ref()
            .is_some_and(|status| !status.instance_ids.is_empty() || status.create_attempt.is_some());
        let created = object.metadata.creation_timestamp.as_ref().map(|time| time.0.as_second());
        Self { not_begun: !begun, created, uid: uid(object) }
    }
}

/// What is kept of an object.
#[derive(Debug)]
pub struct Resident {
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// The domain that it asks for.
    pub domain: Domain,
    /// Its machines.
    pub ids: Vec<Box<str>>,
    not_begun: bool,
    created: Option<i64>,
    /// Hash of everything in it that asks something of us.
    wishes: u64,
    at_rest: bool,
    /// What the metrics show of it.
    pub shown: Shown,
}

impl Resident {
    /// What is kept of this object.
    pub fn of(object: &PaiInstance) -> Self {
        let Claim { not_begun, created, uid } = Claim::of(object);
        let ids = object.status.iter().flat_map(|status| &status.instance_ids);
        Self {
            uid,
            domain: Domain::of(object),
            ids: ids.map(|id| id.as_str().into()).collect(),
            not_begun,
            created,
            wishes: wishes(object),
            at_rest: is_at_rest(object),
            shown: Shown::of(object),
        }
    }

    /// Its claim to its domain.
    pub fn claim(&self) -> Claim {
        Claim { not_begun: self.not_begun, created: self.created, uid: self.uid.clone() }
    }

    /// Whether the object asks for a pass, after what was known of it: something in it asks something new of us, or somebody disturbed
    /// its rest. Our own writes do neither.
    pub fn needs_pass(&self, before: Option<&Self>) -> bool {
        match before {
            None => !self.at_rest,
            Some(before) => before.uid != self.uid || before.wishes != self.wishes || (before.at_rest && !self.at_rest),
        }
    }
}

fn uid(object: &PaiInstance) -> Box<str> {
    object.metadata.uid.as_deref().unwrap_or_default().into()
}

/// Spec (by its generation), deletion, finalizers and our annotations.
fn wishes(object: &PaiInstance) -> u64 {
    let mut hasher = DefaultHasher::new();
    let meta = &object.metadata;
    (meta.generation, meta.deletion_timestamp.is_some(), &meta.finalizers).hash(&mut hasher);
    ANNOTATIONS.map(|name| annotation(object, name)).hash(&mut hasher);
    hasher.finish()
}

/// Whether nothing remains to be done for the object until it, or its machine, changes: then it costs no pass, not even at the start of
/// the operator. The cloud watch sees to its machine.
pub fn is_at_rest(object: &PaiInstance) -> bool {
    let Some(status) = &object.status else { return false };
    let meta = &object.metadata;
    let served = has_finalizer(object) && meta.deletion_timestamp.is_none();
    let asked = ANNOTATIONS.iter().any(|name| annotation(object, name).is_some());
    served && !asked && is_told(status, meta.generation) && nothing_is_looked_for(status)
}

/// Whether the conditions speak of this generation and of nothing under way.
fn is_told(status: &PaiInstanceStatus, generation: Option<i64>) -> bool {
    let conditions: BTreeMap<&str, _> = status.conditions.iter().map(|one| (one.type_.as_str(), one)).collect();
    let current = |kind| conditions.get(kind).filter(|one| one.observed_generation == generation);
    status.observed_generation == generation
        && current("Ready").is_some()
        && current("Synced").is_some_and(|synced| synced.status == "True")
        && !conditions.contains_key("Reconciling")
        && !conditions.contains_key("Stalled")
}

/// Whether there is a machine, every machine was seen with its domain, and no second one may still show.
fn nothing_is_looked_for(status: &PaiInstanceStatus) -> bool {
    let bound = |id: &String| status.instances.iter().any(|known| known.id == *id && known.domain_name.is_some());
    let closed = status.create_attempt.as_ref().is_none_or(|attempt| attempt.state == AttemptState::Created);
    closed
        && !status.instance_ids.is_empty()
        && status.instance_ids.iter().all(bound)
        && status.lapsed_attempts.is_empty()
        && status.duplicate_instance_ids.is_empty()
}

/// Whether the machine is on its way to somewhere, so that it is looked at often: the conditions say that it is being made or ended,
/// and nothing stands in the way.
pub fn is_on_its_way(status: &PaiInstanceStatus) -> bool {
    let has = |kind: &str, fits: &dyn Fn(&str, &str) -> bool| {
        status.conditions.iter().any(|one| one.type_ == kind && fits(&one.status, &one.reason))
    };
    has("Synced", &|status, _| status == "True")
        && has("Ready", &|_, reason| matches!(reason, "Provisioning" | "Deleting"))
}

/// Hash of what a status tells of one machine from the cloud's listing; what we added ourselves is left out.
pub fn digest(shown: &InstanceStatus) -> u64 {
    let mut hasher = DefaultHasher::new();
    let theirs = InstanceStatus { domain_name: None, adopted_by: None, terminate_sent_at: None, ..shown.clone() };
    theirs.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn settled() -> Value {
        let condition = |kind: &str, reason: &str| {
            json!({"type": kind, "status": "True", "reason": reason, "message": "", "observedGeneration": 2,
                   "lastTransitionTime": "2026-01-01T00:00:00Z"})
        };
        json!({
            "apiVersion": "pai.tencentcloud.io/v1alpha1", "kind": "PaiInstance",
            "metadata": {"name": "web", "namespace": "default", "uid": "u", "generation": 2,
                         "finalizers": ["pai.tencentcloud.io/instance"]},
            "spec": {"region": "ap-guangzhou", "credentialsRef": {"name": "c"}, "domainName": "a.b", "internetAccessible": {}},
            "status": {
                "observedGeneration": 2, "instanceIds": ["ins-1"],
                "instances": [{"id": "ins-1", "state": "RUNNING", "domainName": "a.b", "secretId": "AKID"}],
                "conditions": [condition("Ready", "Available"), condition("Synced", "ReconcileSuccess")],
            }
        })
    }

    fn read(object: Value) -> PaiInstance {
        serde_json::from_value(object).unwrap()
    }

    fn with(path: &str, value: Value) -> PaiInstance {
        let mut object = settled();
        let (parent, field) = path.rsplit_once('/').unwrap();
        let parent = object.pointer_mut(parent).unwrap();
        match parent {
            Value::Array(list) => list.push(value),
            parent => parent[field] = value,
        }
        read(object)
    }

    #[test]
    fn only_an_object_with_nothing_left_to_do_is_at_rest() {
        assert!(is_at_rest(&read(settled())));
        let stopped = with("/status/conditions/0/reason", json!("Stopped"));
        assert!(is_at_rest(&stopped), "a machine that somebody switched off is followed by the cloud watch alone");
        let lapsed = json!([{"signedAt": "2026-01-01T00:00:00Z", "instanceName": "n", "nameOrigin": "Generated"}]);
        let under_way = json!({"type": "Reconciling", "status": "True", "reason": "Progressing", "message": "",
                               "observedGeneration": 2, "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let rows = [
            ("/metadata/finalizers", json!([])),
            ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")),
            ("/metadata/annotations", json!({"pai.tencentcloud.io/paused": "true"})),
            ("/metadata/annotations", json!({"pai.tencentcloud.io/resolve-create": "retry:x"})),
            ("/metadata/generation", json!(3)),
            ("/status", json!(null)),
            ("/status/observedGeneration", json!(1)),
            ("/status/instanceIds", json!([])),
            ("/status/instanceIds", json!(["ins-1", "ins-2"])),
            ("/status/lapsedAttempts", lapsed),
            ("/status/duplicateInstanceIds", json!(["ins-9"])),
            ("/status/instances/0/domainName", json!(null)),
            ("/status/conditions/0/observedGeneration", json!(1)),
            ("/status/conditions/1/status", json!("False")),
            ("/status/conditions/-", under_way),
        ];
        for (path, value) in rows {
            assert!(!is_at_rest(&with(path, value.clone())), "{path} = {value}");
        }
    }

    #[test]
    fn a_pass_is_asked_for_by_wishes_and_by_disturbed_rest_only() {
        let at_rest = Resident::of(&read(settled()));
        assert!(!at_rest.needs_pass(None), "at the start an object at rest costs nothing");
        assert!(!Resident::of(&read(settled())).needs_pass(Some(&at_rest)));
        let written_by_us = Resident::of(&with("/status/instances/0/state", json!("STOPPED")));
        assert!(!written_by_us.needs_pass(Some(&at_rest)));
        let wiped = Resident::of(&with("/status", json!(null)));
        assert!(wiped.needs_pass(Some(&at_rest)));
        assert!(wiped.needs_pass(None));
        assert!(!at_rest.needs_pass(Some(&wiped)), "what comes to rest needs nothing");
        for (path, value) in [
            ("/metadata/generation", json!(3)),
            ("/metadata/uid", json!("other")),
            ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")),
            ("/metadata/finalizers", json!([])),
            ("/metadata/annotations", json!({"pai.tencentcloud.io/reconcile-requested-at": "1"})),
        ] {
            assert!(Resident::of(&with(path, value)).needs_pass(Some(&at_rest)), "{path}");
        }
        let label = with("/metadata/annotations", json!({"somebody.else/note": "x"}));
        assert!(!Resident::of(&label).needs_pass(Some(&at_rest)));
    }

    #[test]
    fn a_machine_on_its_way_is_told_from_one_that_waits_for_somebody() {
        let way = |reason: &str, synced: &str| {
            let mut object = settled();
            object["status"]["conditions"][0]["reason"] = json!(reason);
            object["status"]["conditions"][1]["status"] = json!(synced);
            is_on_its_way(read(object).status.as_ref().unwrap())
        };
        assert!(way("Provisioning", "True") && way("Deleting", "True"));
        assert!(!way("Available", "True") && !way("DeleteProtected", "True") && !way("Deleting", "False"));
    }

    #[test]
    fn what_we_added_ourselves_is_no_news() {
        let status = |object: PaiInstance| object.status.unwrap().instances.remove(0);
        let before = digest(&status(read(settled())));
        assert_eq!(digest(&status(with("/status/instances/0/domainName", json!("c.d")))), before);
        assert_ne!(digest(&status(with("/status/instances/0/state", json!("STOPPED")))), before);
        assert_ne!(digest(&status(with("/status/instances/0/secretId", json!("AKIDother")))), before);
    }
}
