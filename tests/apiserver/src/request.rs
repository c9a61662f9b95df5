//! Requests as data: what is asked of which resource. Parses URLs as the API server routes them.

use std::collections::BTreeMap;

use serde_json::Value;

/// A request, whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// HTTP method in capitals.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Decoded query parameters.
    pub query: BTreeMap<String, String>,
    /// `Accept` header, empty if none was sent.
    pub accept: String,
    /// `Content-Type` header, empty if none was sent.
    pub content_type: String,
    /// Body; null if none was sent.
    pub body: Value,
}

/// Group and plural name: what an object is a kind of, whatever the version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: String,
    /// Plural in lower case, as in the URL.
    pub plural: String,
}

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The resource.
    pub resource: Resource,
    /// API version within the group.
    pub version: String,
    /// Namespace; `None` for cluster-wide objects and for lists over all namespaces.
    pub namespace: Option<String>,
    /// Name; `None` for a collection.
    pub name: Option<String>,
    /// `status`, if that is asked for.
    pub subresource: Option<String>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Read one object.
    Get,
    /// Read a collection.
    List,
    /// Follow a collection.
    Watch,
    /// Make an object.
    Create,
    /// Replace an object or its status (PUT).
    Replace,
    /// Change an object or its status (PATCH).
    Patch,
    /// Delete an object.
    Delete,
}

impl Request {
    /// A request with a JSON body and no query but the one in `path`.
    pub fn new(method: &str, path: &str, body: Value) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let content_type =
            if method == "PATCH" { "application/merge-patch+json" } else { "application/json" }.to_owned();
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: parse_query(query),
            accept: "application/json".to_owned(),
            content_type,
            body,
        }
    }

    /// What the path names; `None` for one that no resource has.
    pub fn target(&self) -> Option<Target> {
        let mut parts = self.path.trim_matches('/').split('/');
        let (group, version) = match parts.next()? {
            "api" => (String::new(), parts.next()?),
            "apis" => (parts.next()?.to_owned(), parts.next()?),
            _ => return None,
        };
        let rest: Vec<&str> = parts.collect();
        let (namespace, (plural, rest)) = match rest.as_slice() {
            ["namespaces", namespace, plural, rest @ ..] => (Some((*namespace).to_owned()), (*plural, rest)),
            [plural, rest @ ..] => (None, (*plural, rest)),
            [] => return None,
        };
        let (name, subresource) = match rest {
            [] => (None, None),
            [name] => (Some((*name).to_owned()), None),
            [name, subresource] => (Some((*name).to_owned()), Some((*subresource).to_owned())),
            _ => return None,
        };
        let resource = Resource { group, plural: plural.to_owned() };
        Some(Target { resource, version: version.to_owned(), namespace, name, subresource })
    }

    /// What is asked for; `None` for a method that does not fit the path.
    pub fn verb(&self) -> Option<Verb> {
        let one = self.target()?.name.is_some();
        let watch = self.query.get("watch").is_some_and(|value| value == "true" || value == "1");
        match (self.method.as_str(), one) {
            ("GET", true) => Some(Verb::Get),
            ("GET", false) if watch => Some(Verb::Watch),
            ("GET", false) => Some(Verb::List),
            ("POST", false) => Some(Verb::Create),
            ("PUT", true) => Some(Verb::Replace),
            ("PATCH", true) => Some(Verb::Patch),
            ("DELETE", true) => Some(Verb::Delete),
            _ => None,
        }
    }

    /// Whether only the metadata is wanted.
    pub fn wants_metadata_only(&self) -> bool {
        self.accept.contains("as=PartialObjectMetadata")
    }
}

/// The parameters of a query string.
fn parse_query(query: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(query.as_bytes()).into_owned().filter(|(key, _)| !key.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_verbs() {
        let of = |method: &str, path: &str| {
            let request = Request::new(method, path, Value::Null);
            let target = request.target().unwrap();
            (request.verb(), target.resource.plural, target.namespace, target.name, target.subresource)
        };
        let owned = |text: &str| Some(text.to_owned());
        let rows = [
            ("GET", "/api/v1/namespaces/a/secrets/b", (Some(Verb::Get), "secrets", owned("a"), owned("b"), None)),
            ("GET", "/api/v1/namespaces/a", (Some(Verb::Get), "namespaces", None, owned("a"), None)),
            ("GET", "/apis/g/v1/things?watch=true", (Some(Verb::Watch), "things", None, None, None)),
            ("GET", "/apis/g/v1/namespaces/a/things", (Some(Verb::List), "things", owned("a"), None, None)),
            (
                "PUT",
                "/apis/g/v1/namespaces/a/things/b/status",
                (Some(Verb::Replace), "things", owned("a"), owned("b"), owned("status")),
            ),
            ("POST", "/apis/g/v1/namespaces/a/things/b", (None, "things", owned("a"), owned("b"), None)),
        ];
        for (method, path, (verb, plural, namespace, name, subresource)) in rows {
            assert_eq!(of(method, path), (verb, plural.to_owned(), namespace, name, subresource), "{method} {path}");
        }
    }
}
