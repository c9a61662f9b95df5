//! The objects and what happened to them: one counter of versions over everything, as in etcd.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::request::{Resource, Target};

/// Where an object stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) resource: Resource,
    /// Empty for cluster-wide objects.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn of(target: &Target, name: &str) -> Self {
        Self {
            resource: target.resource.clone(),
            namespace: target.namespace.clone().unwrap_or_default(),
            name: name.to_owned(),
        }
    }
}

/// What happened to an object, in the word of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    Added,
    Modified,
    Deleted,
}

impl Happened {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// One change, with the object as it was after it.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) key: Key,
    pub(crate) happened: Happened,
    pub(crate) object: Value,
}

/// The store.
#[derive(Debug, Default)]
pub(crate) struct Store {
    objects: BTreeMap<Key, Value>,
    history: Vec<Change>,
    version: u64,
    /// Changes up to this version are forgotten.
    compacted: u64,
}

impl Store {
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn compacted(&self) -> u64 {
        self.compacted
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    /// The objects of a resource in one namespace or in all, in the order of their keys.
    pub(crate) fn list(&self, resource: &Resource, namespace: Option<&str>) -> Vec<(&Key, &Value)> {
        let within =
            |key: &Key| key.resource == *resource && namespace.is_none_or(|namespace| key.namespace == namespace);
        self.objects.iter().filter(|(key, _)| within(key)).collect()
    }

    /// Changes after a version.
    pub(crate) fn since(&self, version: u64) -> impl Iterator<Item = &Change> {
        let from = self.history.partition_point(|change| change.version <= version);
        self.history.iter().skip(from)
    }

    /// Puts the object under a new version and returns it as it stands now.
    pub(crate) fn put(&mut self, key: Key, mut object: Value) -> Value {
        let happened = if self.objects.contains_key(&key) { Happened::Modified } else { Happened::Added };
        self.stamp(&mut object);
        self.objects.insert(key.clone(), object.clone());
        self.remember(key, happened, object.clone());
        object
    }

    /// Takes the object away and returns it as it was last.
    pub(crate) fn remove(&mut self, key: &Key, mut object: Value) -> Value {
        self.stamp(&mut object);
        self.objects.remove(key);
        self.remember(key.clone(), Happened::Deleted, object.clone());
        object
    }

    /// Forgets all changes up to now: a watch that begins before gets 410.
    pub(crate) fn compact(&mut self) {
        self.compacted = self.version;
        self.history.clear();
    }

    fn stamp(&mut self, object: &mut Value) {
        self.version += 1;
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), self.version.to_string().into());
        }
    }

    fn remember(&mut self, key: Key, happened: Happened, object: Value) {
        self.history.push(Change { version: self.version, key, happened, object });
    }
}
