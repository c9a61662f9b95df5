//! Events: what happened to an object, for `kubectl describe`. Never fails a pass; never the only place where a fact stands.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, Resource};
use tracing::warn;

use crate::api::conditions::cut_to_bytes;
use crate::api::{EventReason, PaiInstance};
use crate::clock::Clock;

/// Longest note in bytes. Source: Kubernetes (`events.k8s.io/v1`, validation of `note`).
const NOTE_LIMIT: usize = 1024;

/// Longest wait for one Event. Source: our choice: an Event is worth less than the pass it belongs to.
const DEADLINE: Duration = Duration::from_secs(5);

/// Name of the component in the Events. Source: Kubernetes asks for a qualified name.
const CONTROLLER: &str = "pai.tencentcloud.io/pai-operator";

/// Whether an Event tells of something wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Nothing is wrong.
    Normal,
    /// Something is.
    Warning,
}

/// Writes Events about objects.
///
/// kube's own recorder was not taken: its cache leaves the note out of its key, so that a new text shows as one more count of
/// the old one. Repetition is kept away by the caller, who tells only of changes.
#[derive(Clone)]
pub struct EventPublisher {
    api: Client,
    clock: Clock,
    instance: String,
}

impl EventPublisher {
    /// A publisher that names `instance` (the pod) as the reporter.
    pub fn new(api: Client, clock: Clock, instance: String) -> Self {
        Self { api, clock, instance }
    }

    /// Tells what was done; a failure is logged and forgotten.
    pub async fn tell(&self, object: &PaiInstance, reason: EventReason, note: &str) {
        let kind = if reason.warns() { EventKind::Warning } else { EventKind::Normal };
        self.publish(object, kind, reason.as_str(), note).await;
    }

    /// Writes one Event; a failure is logged and forgotten.
    pub async fn publish(&self, object: &PaiInstance, kind: EventKind, reason: &str, note: &str) {
        let event = self.event(object, kind, reason, note);
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        let events: Api<Event> = Api::namespaced(self.api.clone(), namespace);
        match tokio::time::timeout(DEADLINE, events.create(&PostParams::default(), &event)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => warn!(reason, %error, "an Event was not written"),
            Err(_) => warn!(reason, "an Event was not written in time"),
        }
    }

    fn event(&self, object: &PaiInstance, kind: EventKind, reason: &str, note: &str) -> Event {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{}.{:016x}", cut_to_bytes(name, 236), self.clock.random())),
                namespace: object.metadata.namespace.clone(),
                labels: Some(BTreeMap::new()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(self.clock.now())),
            type_: Some(if kind == EventKind::Normal { "Normal" } else { "Warning" }.to_owned()),
            reason: Some(reason.to_owned()),
            action: Some("Reconcile".to_owned()),
            note: Some(cut_to_bytes(note, NOTE_LIMIT).to_owned()),
            regarding: Some(object.object_ref(&())),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(cut_to_bytes(&self.instance, 128).to_owned()),
            ..Event::default()
        }
    }
}
