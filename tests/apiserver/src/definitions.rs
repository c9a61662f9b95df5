//! CustomResourceDefinitions: what they make the server serve, and what goes with them.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::request::{Resource, Target};
use crate::server::{ApiServer, CRDS, Custom};
use crate::store::Key;
use crate::writes::{delete, is_being_deleted, is_marked, set, text};

/// What the server puts on a CRD, so that its objects go first.
const CRD_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Serves what a CRD defines from now on.
pub(crate) fn install(server: &mut ApiServer, definition: &Value) {
    let resource = defined(definition);
    let version = definition.pointer("/spec/versions/0/schema/openAPIV3Schema").cloned().unwrap_or_default();
    let kind = text(definition, "/spec/names/kind").to_owned();
    // The write of the definition itself comes next.
    let since = server.store.version() + 1;
    let rules = server.custom.remove(&resource).and_then(|custom| custom.rules);
    server.custom.insert(resource, Custom { kind, schema: version, rules, since });
}

pub(crate) fn hold_until_empty(definition: &mut Value) {
    if let Some(metadata) = definition.get_mut("metadata")
        && !is_marked(metadata)
    {
        set(metadata, "finalizers", json!([CRD_FINALIZER]));
    }
}

/// A CRD that goes takes its objects along.
pub(crate) fn delete_all_of(server: &mut ApiServer, definition: &Value, now: Timestamp) {
    let resource = defined(definition);
    let objects: Vec<Key> = server.store.list(&resource, None).into_iter().map(|(key, _)| key.clone()).collect();
    for key in objects {
        let target = Target {
            resource: resource.clone(),
            version: String::new(),
            namespace: Some(key.namespace.clone()),
            name: Some(key.name.clone()),
            subresource: None,
        };
        delete(server, &target, &Value::Null, now);
    }
    finish_crds(server);
}

/// Removes the CRDs that were waiting for their last object.
pub(crate) fn finish_crds(server: &mut ApiServer) {
    let crds = Resource { group: CRDS.0.to_owned(), plural: CRDS.1.to_owned() };
    let going: Vec<(Key, Value)> = server
        .store
        .list(&crds, None)
        .into_iter()
        .filter(|(_, object)| is_being_deleted(object))
        .filter(|(_, object)| server.store.list(&defined(object), None).is_empty())
        .map(|(key, object)| (key.clone(), object.clone()))
        .collect();
    for (key, object) in going {
        server.custom.remove(&defined(&object));
        server.store.remove(&key, object);
    }
}

pub(crate) fn definition<'a>(server: &'a ApiServer, resource: &Resource) -> Option<&'a Value> {
    let crds = Resource { group: CRDS.0.to_owned(), plural: CRDS.1.to_owned() };
    let key = Key { resource: crds, namespace: String::new(), name: format!("{}.{}", resource.plural, resource.group) };
    server.store.get(&key)
}

fn defined(definition: &Value) -> Resource {
    Resource {
        group: text(definition, "/spec/group").to_owned(),
        plural: text(definition, "/spec/names/plural").to_owned(),
    }
}

pub(crate) fn is_crd(target: &Target) -> bool {
    (target.resource.group.as_str(), target.resource.plural.as_str()) == CRDS
}
