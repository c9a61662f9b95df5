//! The entry point: routes a request to its verb, and the verbs that only read.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::reply::Reply;
use crate::request::{Request, Resource, Target, Verb};
use crate::schema;
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
    /// What is left of lists in pages, by the token that asks for it.
    pages: BTreeMap<String, Rest>,
}

/// The rest of a list, as it was when its first page was read.
struct Rest {
    version: u64,
    begun_at: usize,
    items: Vec<Value>,
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
    /// The version at which its definition last changed. The server keeps nothing that came before in mind: watches end there, and
    /// none can begin earlier.
    pub(crate) since: u64,
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

const METADATA_VERSION: &str = "meta.k8s.io/v1";

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
        let mut server = Self {
            store: Store::default(),
            custom: BTreeMap::new(),
            rng: fastrand::Rng::with_seed(seed),
            pages: BTreeMap::new(),
        };
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
        if !self.serves(&target.resource) {
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
            Verb::Replace => writes::replace(self, &target, &request.body, now),
            Verb::Patch => writes::patch(self, &target, request),
            Verb::Delete => writes::delete(self, &target, &request.body, now),
        };
        let is_object = reply.status < 300 && reply.body.pointer("/metadata/uid").is_some();
        let wanted = is_object && request.wants_metadata_only() && verb != Verb::List;
        Answer::Reply(if wanted { Reply { body: as_wanted(&reply.body, true), ..reply } } else { reply })
    }

    /// Forgets the history, as after a compaction: watches that begin before now get 410, and lists that are half read.
    pub fn compact(&mut self) {
        self.store.compact();
        self.pages.clear();
    }

    /// The object as it is stored, for a test to look at. A default of its schema may be missing, which a reader is given.
    pub fn peek(&self, group: &str, plural: &str, namespace: &str, name: &str) -> Option<&Value> {
        let resource = Resource { group: group.to_owned(), plural: plural.to_owned() };
        self.store.get(&Key { resource, namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// All objects of a resource as they are stored, for a test to look at.
    pub fn all(&self, group: &str, plural: &str) -> Vec<&Value> {
        let resource = Resource { group: group.to_owned(), plural: plural.to_owned() };
        self.store.list(&resource, None).into_iter().map(|(_, object)| object).collect()
    }

    pub(crate) fn serves(&self, resource: &Resource) -> bool {
        let built_in = |(group, plural, _): &(&str, &str, &str)| *group == resource.group && *plural == resource.plural;
        self.custom.contains_key(resource) || BUILT_IN.iter().any(built_in)
    }

    /// An object as a reader is given it: pruned and defaulted by the schema of today, whatever was in force when it was stored.
    pub(crate) fn decoded(&self, resource: &Resource, object: &Value) -> Value {
        let mut object = object.clone();
        if let Some(custom) = self.custom.get(resource) {
            schema::prune(&mut object, &custom.schema);
            schema::default(&mut object, &custom.schema);
        }
        object
    }

    /// [`Self::decoded`] of a stored object.
    pub(crate) fn read(&self, key: &Key) -> Option<Value> {
        self.store.get(key).map(|object| self.decoded(&key.resource, object))
    }

    /// Whether objects of the kind have a generation.
    pub(crate) fn counts_generations(&self, target: &Target) -> bool {
        self.custom.contains_key(&target.resource) || target.resource.group == CRDS.0
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
            Some(object) => Reply::ok(as_wanted(&self.decoded(&key.resource, object), metadata_only)),
            None => Reply::not_found(target),
        }
    }

    fn list(&mut self, request: &Request, target: &Target) -> Reply {
        let asked = |name: &str| request.query.get(name).map_or("", String::as_str);
        let rest = match asked("continue") {
            "" => match self.all_of(request, target) {
                Ok(items) => Rest { version: self.store.version(), begun_at: 0, items },
                Err(reply) => return reply,
            },
            token => match self.pages.get(token) {
                Some(Rest { version, begun_at, items }) => {
                    Rest { version: *version, begun_at: *begun_at, items: items.clone() }
                }
                None => {
                    return Reply::expired(
                        "The provided continue parameter is too old to display a consistent list result.",
                    );
                }
            },
        };
        // From the cache, which version 0 asks for, a list comes whole.
        let limit = asked("limit").parse().ok().filter(|limit| *limit > 0 && asked("resourceVersion") != "0");
        let (version, mut page) = (rest.version, rest.items);
        let left = page.split_off(page.len().min(limit.unwrap_or(usize::MAX)));
        let mut metadata = Map::new();
        metadata.insert("resourceVersion".to_owned(), version.to_string().into());
        if !left.is_empty() {
            let begun_at = rest.begun_at + page.len();
            let token = format!("{version}.{begun_at}.{}", request.path);
            metadata.insert("continue".to_owned(), token.as_str().into());
            metadata.insert("remainingItemCount".to_owned(), left.len().into());
            self.pages.insert(token, Rest { version, begun_at, items: left });
        }
        let Kind { kind, api_version } = if request.wants_metadata_only() {
            Kind { kind: "PartialObjectMetadata".to_owned(), api_version: METADATA_VERSION.to_owned() }
        } else {
            self.kind(target)
        };
        Reply::ok(
            json!({"kind": format!("{kind}List"), "apiVersion": api_version, "metadata": metadata, "items": page}),
        )
    }

    fn all_of(&self, request: &Request, target: &Target) -> Result<Vec<Value>, Reply> {
        let name = selected_name(request)?;
        let all = self.store.list(&target.resource, target.namespace.as_deref());
        let wanted = all.into_iter().filter(|(key, _)| name.is_none_or(|name| key.name == name));
        let item = |(key, object): (&Key, &Value)| {
            let mut object = as_wanted(&self.decoded(&key.resource, object), request.wants_metadata_only());
            if !self.custom.contains_key(&key.resource) && !request.wants_metadata_only() {
                // The list of a built-in kind says it once for all.
                for said in ["kind", "apiVersion"] {
                    object.as_object_mut().map(|fields| fields.remove(said));
                }
            }
            object
        };
        Ok(wanted.map(item).collect())
    }
}

/// The name that a field selector asks for; other selectors are not known.
pub(crate) fn selected_name(request: &Request) -> Result<Option<&str>, Reply> {
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
        "kind": "PartialObjectMetadata", "apiVersion": METADATA_VERSION, "metadata": object.get("metadata"),
    })
}
