//! The verbs that change something. Every one is atomic: it happens whole or not at all.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::definitions::{definition, delete_all_of, finish_crds, hold_until_empty, install, is_crd};
use crate::patch::merge;
use crate::reply::Reply;
use crate::request::{Request, Resource, Target};
use crate::schema;
use crate::server::{ApiServer, Kind};
use crate::store::Key;

/// Kinds that can be replaced by whoever has not seen the newest version.
const UNCONDITIONAL: [&str; 4] = ["namespaces", "secrets", "configmaps", "events"];

/// The kind that a PUT makes where it is missing.
const MADE_BY_PUT: &str = "leases";

/// Makes an object. The status of a custom resource is dropped: only its subresource writes it.
pub(crate) fn create(server: &mut ApiServer, target: &Target, body: &Value, now: Timestamp) -> Reply {
    let mut object = body.clone();
    let name = text(&object, "/metadata/name").to_owned();
    let Kind { kind, api_version } = server.kind(target);
    if name.is_empty() {
        return Reply::invalid(
            &kind,
            "",
            &["metadata.name: Required value: name or generateName is required".to_owned()],
        );
    }
    if let Some(refusal) = home_refuses(server, target, &name) {
        return refusal;
    }
    let key = Key::of(target, &name);
    if server.store.get(&key).is_some() {
        return Reply::already_exists(target, &name);
    }
    if !text(&object, "/metadata/resourceVersion").is_empty() {
        return Reply::failure(500, "", "resourceVersion should not be set on objects to be created");
    }
    let uid = uid(server);
    let Some(fields) = object.as_object_mut() else {
        return Reply::failure(400, "BadRequest", "the body of the request is not an object");
    };
    fields.insert("kind".to_owned(), kind.into());
    fields.insert("apiVersion".to_owned(), api_version.into());
    let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
    for own in ["generation", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields"] {
        metadata.as_object_mut().map(|metadata| metadata.remove(own));
    }
    set(metadata, "uid", uid.into());
    set(metadata, "creationTimestamp", whole_second(now));
    if server.counts_generations(target) {
        set(metadata, "generation", 1.into());
    }
    if let Some(namespace) = &target.namespace {
        set(metadata, "namespace", namespace.as_str().into());
    }
    if let Err(refusal) = admit(server, target, &mut object, None) {
        return refusal;
    }
    if server.custom.contains_key(&target.resource) {
        put_status(&mut object, None);
    }
    if is_crd(target) {
        install(server, &object);
        hold_until_empty(&mut object);
    }
    let stored = server.store.put(key, object);
    Reply::created(server.decoded(&target.resource, &stored))
}

/// Replaces an object, or its status alone, if the caller has seen the newest version of it.
pub(crate) fn replace(server: &mut ApiServer, target: &Target, body: &Value, now: Timestamp) -> Reply {
    let key = Key::of(target, target.name.as_deref().unwrap_or_default());
    let version = text(body, "/metadata/resourceVersion");
    let uid = text(body, "/metadata/uid");
    let Some(old) = server.read(&key) else {
        if target.resource.plural != MADE_BY_PUT {
            return Reply::not_found(target);
        }
        if !uid.is_empty() {
            return Reply::precondition(target, &format!("UID in precondition: {uid}"));
        }
        let mut body = body.clone();
        if let Some(metadata) = body.get_mut("metadata") {
            set(metadata, "resourceVersion", "".into());
        }
        return create(server, target, &body, now);
    };
    if version.is_empty() && !UNCONDITIONAL.contains(&target.resource.plural.as_str()) {
        let cause = "metadata.resourceVersion: Invalid value: 0: must be specified for an update".to_owned();
        return Reply::invalid(&server.kind(target).kind, &key.name, &[cause]);
    }
    if !version.is_empty() && version != text(&old, "/metadata/resourceVersion") {
        return Reply::conflict(target);
    }
    if !uid.is_empty() && uid != text(&old, "/metadata/uid") {
        return Reply::precondition(target, &format!("UID in precondition: {uid}"));
    }
    update(server, target, &key, &old, body.clone())
}

/// Merges a patch into an object, or into its status alone. With a version in it, only if that is the newest.
pub(crate) fn patch(server: &mut ApiServer, target: &Target, request: &Request) -> Reply {
    if request.content_type != "application/merge-patch+json" {
        return Reply::failure(415, "UnsupportedMediaType", "the model knows merge patches only");
    }
    let key = Key::of(target, target.name.as_deref().unwrap_or_default());
    let Some(old) = server.read(&key) else {
        return Reply::not_found(target);
    };
    let version = text(&request.body, "/metadata/resourceVersion");
    if !version.is_empty() && version != text(&old, "/metadata/resourceVersion") {
        return Reply::conflict(target);
    }
    let mut new = old.clone();
    merge(&mut new, &request.body);
    if target.subresource.is_none() && text(&new, "/metadata/uid") != text(&old, "/metadata/uid") {
        let cause = format!("metadata.uid: Invalid value: {}: field is immutable", text(&new, "/metadata/uid"));
        return Reply::invalid(&server.kind(target).kind, &key.name, &[cause]);
    }
    update(server, target, &key, &old, new)
}

/// Marks an object with finalizers as being deleted, removes one without.
pub(crate) fn delete(server: &mut ApiServer, target: &Target, body: &Value, now: Timestamp) -> Reply {
    let key = Key::of(target, target.name.as_deref().unwrap_or_default());
    let Some(mut object) = server.read(&key) else {
        return Reply::not_found(target);
    };
    for (field, own) in [("uid", "/metadata/uid"), ("resourceVersion", "/metadata/resourceVersion")] {
        let wanted = text(body, &format!("/preconditions/{field}"));
        if !wanted.is_empty() && wanted != text(&object, own) {
            return Reply::precondition(target, &format!("{field} in precondition: {wanted}"));
        }
    }
    let uid = object.pointer("/metadata/uid").cloned().unwrap_or_default();
    if !has_finalizers(&object) && !is_namespace(target) {
        server.store.remove(&key, object);
        finish_crds(server);
        return Reply::deleted(target, &uid);
    }
    if is_being_deleted(&object) {
        return Reply::ok(object);
    }
    raise_generation(server, target, &mut object);
    if let Some(metadata) = object.get_mut("metadata") {
        set(metadata, "deletionTimestamp", whole_second(now));
        set(metadata, "deletionGracePeriodSeconds", 0.into());
    }
    let stored = server.store.put(key, object);
    if is_crd(target) {
        delete_all_of(server, &stored, now);
    }
    Reply::ok(stored)
}

/// Writes a new form of an object over the old one: what the caller may not change stays, what changed nothing is not written.
fn update(server: &mut ApiServer, target: &Target, key: &Key, old: &Value, mut new: Value) -> Reply {
    let custom = server.custom.contains_key(&target.resource);
    if target.subresource.as_deref() == Some("status") {
        let status = new.get("status").cloned();
        new = old.clone();
        put_status(&mut new, status);
    } else {
        if custom {
            put_status(&mut new, old.get("status").cloned());
        }
        keep_metadata(&mut new, old);
    }
    if let Err(refusal) = admit(server, target, &mut new, Some(old)) {
        return refusal;
    }
    if let Some(refusal) = adds_finalizers_too_late(server, target, key, old, &new) {
        return refusal;
    }
    let changed = !same_but(old, &new, &["metadata", "status"]);
    if changed {
        raise_generation(server, target, &mut new);
    }
    // What is read may differ from what is stored, by a default for example: then this is a change.
    if server.store.get(key) == Some(&new) {
        return Reply::ok(new);
    }
    if is_crd(target) {
        if changed {
            install(server, &new);
        }
        hold_until_empty(&mut new);
    }
    if is_being_deleted(&new) && !has_finalizers(&new) {
        // The event has the object before this write, under a new version; the reply has this write under the old one.
        server.store.remove(key, old.clone());
        finish_crds(server);
        return Reply::ok(new);
    }
    Reply::ok(server.store.put(key.clone(), new))
}

/// Prunes, defaults and checks a custom object.
fn admit(server: &ApiServer, target: &Target, object: &mut Value, old: Option<&Value>) -> Result<(), Reply> {
    let Some(custom) = server.custom.get(&target.resource) else { return Ok(()) };
    schema::prune(object, &custom.schema);
    schema::default(object, &custom.schema);
    let mut causes = Vec::new();
    schema::check(object, &custom.schema, "", &mut causes);
    if causes.is_empty()
        && let Some(rules) = &custom.rules
    {
        causes = rules(object, old);
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(Reply::invalid(&custom.kind, text(object, "/metadata/name"), &causes))
}

/// Why an object cannot be made there: its namespace is missing or going, or its CRD is going.
fn home_refuses(server: &ApiServer, target: &Target, name: &str) -> Option<Reply> {
    if let Some(namespace) = &target.namespace {
        let resource = Resource { group: String::new(), plural: "namespaces".to_owned() };
        let home = Key { resource, namespace: String::new(), name: namespace.clone() };
        match server.store.get(&home) {
            None => return Some(Reply::failure(404, "NotFound", &format!("namespaces \"{namespace}\" not found"))),
            Some(home) if is_being_deleted(home) => {
                let message = format!(
                    "{} \"{name}\" is forbidden: unable to create new content in namespace {namespace} because it is being terminated",
                    target.resource.plural
                );
                return Some(Reply::failure(403, "Forbidden", &message));
            }
            Some(_) => {}
        }
    }
    is_being_deleted(definition(server, &target.resource)?).then(|| {
        let Resource { group, plural } = &target.resource;
        let message = format!(
            "{plural}.{group} \"{name}\" is forbidden: create not allowed while custom resource definition is terminating"
        );
        Reply::failure(403, "Forbidden", &message)
    })
}

fn adds_finalizers_too_late(server: &ApiServer, target: &Target, key: &Key, old: &Value, new: &Value) -> Option<Reply> {
    if !is_being_deleted(old) {
        return None;
    }
    let before: Vec<&Value> = finalizers(old).collect();
    let added = finalizers(new).find(|finalizer| !before.contains(finalizer))?;
    let cause = format!(
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers [{added}]"
    );
    Some(Reply::invalid(&server.kind(target).kind, &key.name, &[cause]))
}

/// What an update can never change.
fn keep_metadata(new: &mut Value, old: &Value) {
    let Some(metadata) = new.get_mut("metadata") else { return };
    for own in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
        "name",
        "namespace",
    ] {
        match old.pointer(&format!("/metadata/{own}")) {
            Some(value) => set(metadata, own, value.clone()),
            None => {
                metadata.as_object_mut().map(|metadata| metadata.remove(own));
            }
        }
    }
    if let Some(fields) = metadata.as_object_mut() {
        fields.remove("managedFields");
        // An empty list or map and none at all are the same in the stored form.
        fields.retain(|_, value| !value.is_null() && *value != json!([]) && *value != json!({}));
    }
}

fn raise_generation(server: &ApiServer, target: &Target, object: &mut Value) {
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(1);
    if server.counts_generations(target)
        && let Some(metadata) = object.get_mut("metadata")
    {
        set(metadata, "generation", (generation + 1).into());
    }
}

fn put_status(object: &mut Value, status: Option<Value>) {
    let Some(fields) = object.as_object_mut() else { return };
    match status {
        Some(status) => fields.insert("status".to_owned(), status),
        None => fields.remove("status"),
    };
}

fn same_but(one: &Value, other: &Value, left_out: &[&str]) -> bool {
    let kept = |value: &Value| {
        let mut value = value.clone();
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|name, _| !left_out.contains(&name.as_str()));
        }
        value
    };
    kept(one) == kept(other)
}

fn finalizers(object: &Value) -> impl Iterator<Item = &Value> {
    object.pointer("/metadata/finalizers").and_then(Value::as_array).into_iter().flatten()
}

fn has_finalizers(object: &Value) -> bool {
    finalizers(object).next().is_some()
}

pub(crate) fn is_being_deleted(object: &Value) -> bool {
    object.get("metadata").is_some_and(is_marked)
}

pub(crate) fn is_marked(metadata: &Value) -> bool {
    metadata.get("deletionTimestamp").is_some_and(|time| !time.is_null())
}

/// A namespace goes only when its contents are gone, which is the namespace controller's work and not the server's.
fn is_namespace(target: &Target) -> bool {
    target.resource.group.is_empty() && target.resource.plural == "namespaces"
}

pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}

fn whole_second(now: Timestamp) -> Value {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}

fn uid(server: &mut ApiServer) -> String {
    let bits = (server.rng.u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}
