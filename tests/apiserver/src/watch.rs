//! Watches: what a client that follows a collection is sent.

use serde_json::{Map, Value, json};

use crate::reply::Reply;
use crate::request::{Request, Target};
use crate::server::{ApiServer, as_wanted, selected_name};
use crate::store::Change;

/// One client that follows a collection. The driver asks for its news whenever it likes to deliver them.
#[derive(Clone, Debug)]
pub struct Watch {
    target: Target,
    /// The one object that is followed, if it is one.
    name: Option<String>,
    /// The server's version when it began.
    opened: u64,
    /// Everything up to this version was sent.
    position: u64,
    metadata_only: bool,
    bookmarks: bool,
    /// Objects that a watch without a version begins with.
    first: Vec<Value>,
    /// After how long the server ends it, in seconds.
    pub timeout_seconds: Option<u64>,
    ended: bool,
}

impl Watch {
    /// Whether nothing comes any more: an error was sent, or the resource was defined anew or is gone.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether bookmarks were asked for.
    pub fn wants_bookmarks(&self) -> bool {
        self.bookmarks
    }
}

/// A watch as the request asks for it.
pub(crate) fn open(server: &ApiServer, request: &Request, target: Target) -> Result<Watch, Reply> {
    let from = request.query.get("resourceVersion").map_or("", String::as_str);
    let metadata_only = request.wants_metadata_only();
    let name = selected_name(request)?.map(str::to_owned);
    let mut watch = Watch {
        opened: server.store.version(),
        position: server.store.version(),
        metadata_only,
        bookmarks: request.query.get("allowWatchBookmarks").is_some_and(|value| value == "true"),
        first: Vec::new(),
        timeout_seconds: request.query.get("timeoutSeconds").and_then(|value| value.parse().ok()),
        ended: false,
        name,
        target,
    };
    if from.is_empty() || from == "0" {
        let objects = server.store.list(&watch.target.resource, watch.target.namespace.as_deref());
        let ours = objects.into_iter().filter(|(key, _)| watch.name.as_ref().is_none_or(|name| key.name == *name));
        watch.first = ours
            .map(|(key, object)| event("ADDED", as_wanted(&server.decoded(&key.resource, object), metadata_only)))
            .collect();
    } else {
        let version = from.parse().map_err(|_| Reply::failure(400, "BadRequest", "invalid resource version"))?;
        watch.position = version;
    }
    Ok(watch)
}

impl ApiServer {
    /// What happened since the last call, as watch events; a version that is forgotten ends the watch with 410 in an ERROR event.
    pub fn news(&self, watch: &mut Watch) -> Vec<Value> {
        if watch.ended {
            return Vec::new();
        }
        let mut events = std::mem::take(&mut watch.first);
        let defined = self.custom.get(&watch.target.resource).map_or(0, |custom| custom.since);
        let redefined = defined > watch.opened;
        let oldest = if redefined { self.store.compacted() } else { self.store.compacted().max(defined) };
        if watch.position < oldest {
            watch.ended = true;
            let message = format!("too old resource version: {} ({oldest})", watch.position);
            events.push(event("ERROR", Reply::expired(&message).body));
            return events;
        }
        watch.ended = redefined || !self.serves(&watch.target.resource);
        let ours = |change: &&Change| {
            change.key.resource == watch.target.resource
                && watch.target.namespace.as_ref().is_none_or(|namespace| change.key.namespace == *namespace)
                && watch.name.as_ref().is_none_or(|name| change.key.name == *name)
        };
        let changes = self.store.since(watch.position).filter(ours);
        events.extend(changes.map(|change| {
            let object = self.decoded(&change.key.resource, &change.object);
            event(change.happened.word(), as_wanted(&object, watch.metadata_only))
        }));
        watch.position = watch.position.max(self.store.version());
        events
    }

    /// A bookmark at the watch's position.
    pub fn bookmark(&self, watch: &Watch) -> Value {
        let kind = self.kind(&watch.target);
        let object = json!({
            "kind": kind.kind, "apiVersion": kind.api_version,
            "metadata": {"resourceVersion": watch.position.to_string(), "creationTimestamp": null},
        });
        event("BOOKMARK", as_wanted(&object, watch.metadata_only))
    }

    /// Whether the watch has news to deliver.
    pub fn has_news(&self, watch: &Watch) -> bool {
        !watch.ended && (!watch.first.is_empty() || watch.position < self.store.version())
    }
}

fn event(word: &str, object: Value) -> Value {
    let mut event = Map::new();
    event.insert("type".to_owned(), word.into());
    event.insert("object".to_owned(), object);
    Value::Object(event)
}
