//! The entry point: routes a request to its verb, and the verbs that only read.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::reply::Reply;
use crate::request::{Request, Resource, Target, Verb};
use crate::store::{Key, Store};
use crate::watch::{self, Watch};
use crate::writes;

/// Checks of an object that the schema's bounds do not make, patterns and CEL rules for example: the new object and the old one in,
/// one sentence for each fault out.
pub type Rules = Box<dyn Fn(&Value, Option<&Value>) -> Vec<String> + Send>;

/// The API server.
pub struct ApiServer {
    pub(crate) store: Store,
    pub(crate) custom: BTreeMap<Resource, Custom>,
    pub(crate) rng: fastrand::Rng,
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").field("version", &self.store.version()).finish_non_exhaustive()
    }
}

/// A resource that a CRD defines.
pub(crate) struct Custom {
    pub(crate) kind: String,
    pub(crate) schema: Value,
    pub(crate) rules: Option<Rules>,
}

/// An answer: whole, or a watch that goes on.
#[derive(Debug)]
pub enum Answer {
    /// The reply is whole.
    Reply(Reply),
    /// A watch has begun: see [`ApiServer::news`].
    Watch(Watch),
}

/// Kind and `apiVersion` of a resource, as its objects bear them.
pub(crate) struct Kind {
    pub(crate) kind: String,
    pub(crate) api_version: String,
}

/// Group of CustomResourceDefinitions.
pub(crate) const CRDS: (&str, &str) = ("apiextensions.k8s.io", "customresourcedefinitions");

/// Kinds of the built-in resources that are known.
const BUILT_IN: [(&str, &str, &str); 6] = [
    ("", "namespaces", "Namespace"),
    ("", "secrets", "Secret"),
    ("", "configmaps", "ConfigMap"),
    ("coordination.k8s.io", "leases", "Lease"),
    ("events.k8s.io", "events", "Event"),
    (CRDS.0, CRDS.1, "CustomResourceDefinition"),
];

impl ApiServer {
    /// A server with the namespace `default`; `seed` decides the UIDs.
    pub fn new(seed: u64) -> Self {
        let mut server = Self { store: Store::default(), custom: BTreeMap::new(), rng: fastrand::Rng::with_seed(seed) };
        server.handle(
            &Request::new("POST", "/api/v1/namespaces", json!({"metadata": {"name": "default"}})),
            Timestamp::UNIX_EPOCH,
        );
        server
    }

    /// Adds checks for a resource that a CRD has defined.
    pub fn set_rules(&mut self, group: &str, plural: &str, rules: Rules) {
        let resource = Resource { group: group.to_owned(), plural: plural.to_owned() };
        if let Some(custom) = self.custom.get_mut(&resource) {
            custom.rules = Some(rules);
        }
    }

    /// Answers one request as of `now`.
    pub fn handle(&mut self, request: &Request, now: Timestamp) -> Answer {
        let (Some(target), Some(verb)) = (request.target(), request.verb()) else {
            return Answer::Reply(Reply::failure(405, "MethodNotAllowed", "the server does not allow this method"));
        };
        if !self.serves(&target) {
            return Answer::Reply(Reply::no_such_resource());
        }
        let reply = match verb {
            Verb::Watch => match watch::open(self, request, target) {
                Ok(watch) => return Answer::Watch(watch),
                Err(reply) => reply,
            },
            Verb::Get => self.get(&target, request.wants_metadata_only()),
            Verb::List => self.list(request, &target),
            Verb::Create => writes::create(self, &target, &request.body, now),
            Verb::Replace => writes::replace(self, &target, &request.body),
            Verb::Patch => writes::patch(self, &target, request),
            Verb::Delete => writes::delete(self, &target, &request.body, now),
        };
        let is_object = reply.status < 300 && reply.body.pointer("/metadata/uid").is_some();
        let wanted = is_object && request.wants_metadata_only() && verb != Verb::List;
        Answer::Reply(if wanted { Reply { body: as_wanted(&reply.body, true), ..reply } } else { reply })
    }

    /// Forgets the history: watches that begin before now get 410, as after a compaction.
    pub fn compact(&mut self) {
        self.store.compact();
    }

    /// The object as it stands, for a test to look at.
    pub fn peek(&self, group: &str, plural: &str, namespace: &str, name: &str) -> Option<&Value> {
        let resource = Resource { group: group.to_owned(), plural: plural.to_owned() };
        self.store.get(&Key { resource, namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// All objects of a resource, for a test to look at.
    pub fn all(&self, group: &str, plural: &str) -> Vec<&Value> {
        let resource = Resource { group: group.to_owned(), plural: plural.to_owned() };
        self.store.list(&resource, None).into_iter().map(|(_, object)| object).collect()
    }

    fn serves(&self, target: &Target) -> bool {
        let built_in = |(group, plural, _): &(&str, &str, &str)| {
            *group == target.resource.group && *plural == target.resource.plural
        };
        self.custom.contains_key(&target.resource) || BUILT_IN.iter().any(built_in)
    }

    pub(crate) fn kind(&self, target: &Target) -> Kind {
        let Resource { group, plural } = &target.resource;
        let built_in = BUILT_IN.iter().find(|(known, name, _)| known == group && name == plural);
        let kind = self.custom.get(&target.resource).map(|custom| custom.kind.clone());
        let kind = kind.or_else(|| built_in.map(|(_, _, kind)| (*kind).to_owned())).unwrap_or_default();
        let api_version = if group.is_empty() { target.version.clone() } else { format!("{group}/{}", target.version) };
        Kind { kind, api_version }
    }

    fn get(&self, target: &Target, metadata_only: bool) -> Reply {
        let key = Key::of(target, target.name.as_deref().unwrap_or_default());
        match self.store.get(&key) {
            Some(object) => Reply::ok(as_wanted(object, metadata_only)),
            None => Reply::not_found(target),
        }
    }

    fn list(&self, request: &Request, target: &Target) -> Reply {
        let version = self.store.version();
        let limit = request.query.get("limit").and_then(|limit| limit.parse::<usize>().ok()).filter(|limit| *limit > 0);
        let mut skip = 0;
        if let Some(token) = request.query.get("continue").filter(|token| !token.is_empty()) {
            let parts = token
                .split_once('.')
                .and_then(|(version, at)| Some((version.parse::<u64>().ok()?, at.parse::<usize>().ok()?)));
            let Some((begun, at)) = parts else {
                return Reply::failure(400, "BadRequest", "continue key is not valid");
            };
            // The real server reads on in the old snapshot until that is compacted; here any change ends it.
            if version != begun {
                return Reply::expired(
                    "The provided continue parameter is too old to display a consistent list result.",
                );
            }
            skip = at;
        }
        let name = match selected_name(request) {
            Ok(name) => name,
            Err(reply) => return reply,
        };
        let all = self.store.list(&target.resource, target.namespace.as_deref());
        let mut all = all.into_iter().filter(|(key, _)| name.is_none_or(|name| key.name == name)).skip(skip);
        let page: Vec<Value> = all
            .by_ref()
            .take(limit.unwrap_or(usize::MAX))
            .map(|(_, object)| as_wanted(object, request.wants_metadata_only()))
            .collect();
        let left = all.count();
        let mut metadata = Map::new();
        metadata.insert("resourceVersion".to_owned(), version.to_string().into());
        if left > 0 {
            metadata.insert("continue".to_owned(), format!("{version}.{}", skip + page.len()).into());
            metadata.insert("remainingItemCount".to_owned(), left.into());
        }
        let Kind { kind, api_version } = self.kind(target);
        let kind =
            if request.wants_metadata_only() { "PartialObjectMetadataList".to_owned() } else { format!("{kind}List") };
        Reply::ok(json!({"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": page}))
    }
}

/// The name that a field selector asks for; other selectors are not known.
fn selected_name(request: &Request) -> Result<Option<&str>, Reply> {
    match request.query.get("fieldSelector").map(String::as_str).filter(|selector| !selector.is_empty()) {
        None => Ok(None),
        Some(selector) => selector
            .strip_prefix("metadata.name=")
            .map(Some)
            .ok_or_else(|| Reply::failure(400, "BadRequest", "field label not supported")),
    }
}

/// The object whole or its metadata alone.
pub(crate) fn as_wanted(object: &Value, metadata_only: bool) -> Value {
    if !metadata_only {
        return object.clone();
    }
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object.get("metadata"),
    })
}
