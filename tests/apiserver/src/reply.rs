//! Replies as data, and the `Status` objects of failures in the words of the real server.

use serde_json::{Value, json};

use crate::request::{Resource, Target};

/// A whole reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// JSON body.
    pub body: Value,
}

impl Reply {
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: 200, body }
    }

    pub(crate) fn created(body: Value) -> Self {
        Self { status: 201, body }
    }

    /// A failure as a `Status` object.
    pub fn failure(code: u16, reason: &str, message: &str) -> Self {
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code,
        });
        Self { status: code, body }
    }

    pub(crate) fn not_found(target: &Target) -> Self {
        let name = target.name.as_deref().unwrap_or_default();
        Self::failure(404, "NotFound", &format!("{} \"{name}\" not found", qualified(&target.resource)))
    }

    pub(crate) fn no_such_resource() -> Self {
        Self::failure(404, "NotFound", "the server could not find the requested resource")
    }

    pub(crate) fn already_exists(target: &Target, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", qualified(&target.resource));
        Self::failure(409, "AlreadyExists", &message)
    }

    pub(crate) fn conflict(target: &Target) -> Self {
        let name = target.name.as_deref().unwrap_or_default();
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": the object has been modified; please apply your changes to the latest version and try again",
            qualified(&target.resource)
        );
        Self::failure(409, "Conflict", &message)
    }

    pub(crate) fn precondition(target: &Target, what: &str) -> Self {
        let name = target.name.as_deref().unwrap_or_default();
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": Precondition failed: {what}",
            qualified(&target.resource)
        );
        Self::failure(409, "Conflict", &message)
    }

    pub(crate) fn invalid(kind: &str, name: &str, causes: &[String]) -> Self {
        let message = format!("{kind} \"{name}\" is invalid: {}", causes.join(", "));
        Self::failure(422, "Invalid", &message)
    }

    pub(crate) fn expired(message: &str) -> Self {
        Self::failure(410, "Expired", message)
    }

    /// What a deletion that removed the object answers.
    pub(crate) fn deleted(target: &Target, uid: &Value) -> Self {
        Self::ok(json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": {
                "name": target.name, "group": target.resource.group, "kind": target.resource.plural, "uid": uid,
            },
        }))
    }
}

fn qualified(resource: &Resource) -> String {
    if resource.group.is_empty() { resource.plural.clone() } else { format!("{}.{}", resource.plural, resource.group) }
}
