//! What the watch last showed of all objects, in a few hundred bytes each: who needs a pass, and who else has a claim to a domain or a
//! machine. A decision about an object's own money is never made from here, since a watch may be old.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::ResourceExt;
use tokio::time::Instant;

use super::decide::FRESH_FOR;
use super::queue::Key;
use super::resident::{Claim, Domain, Resident};
use super::shown::Shown;
use crate::api::PaiInstance;

/// How long it is remembered that an object with a domain went. Source: our choice: longer than any look at the cloud is used.
const REMEMBER_GONE: Duration = Duration::from_secs(2 * FRESH_FOR.as_secs());

/// All watched objects, and the domains for which this process is buying at this moment.
#[derive(Debug, Default)]
pub struct Objects {
    index: Mutex<Index>,
    buying: Arc<Mutex<HashSet<Domain>>>,
}

#[derive(Debug, Default)]
struct Index {
    residents: HashMap<Key, Held>,
    by_domain: HashMap<Domain, BTreeSet<Key>>,
    by_id: HashMap<Box<str>, BTreeSet<Key>>,
    /// When the last object with a domain went.
    gone: BTreeMap<Domain, Instant>,
    /// The listing under way or done last, by watch.
    listings: BTreeMap<usize, u32>,
}

#[derive(Debug)]
struct Held {
    resident: Resident,
    /// The watch that shows it, and that watch's last listing in which it was.
    watch: usize,
    listing: u32,
}

/// What an event of the watch means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The object asks for a pass.
    pub needs_pass: bool,
    /// UID of another object that had this name before.
    pub replaced: Option<Box<str>>,
}

/// The sole right to look for and buy a machine with a domain, until it is dropped.
#[derive(Debug)]
pub struct Purchasing {
    domain: Domain,
    buying: Arc<Mutex<HashSet<Domain>>>,
}

impl Drop for Purchasing {
    fn drop(&mut self) {
        locked(&self.buying).remove(&self.domain);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Objects {
    /// Takes what a watch shows of an object, and says what that means.
    pub fn note(&self, watch: usize, key: &Key, object: &PaiInstance) -> News {
        let mut index = locked(&self.index);
        let listing = index.listings.get(&watch).copied().unwrap_or_default();
        let resident = Resident::of(object);
        let before = index.take_out(key);
        let needs_pass = resident.needs_pass(before.as_ref().map(|held| &held.resident));
        let replaced = before.map(|held| held.resident).filter(|before| before.uid != resident.uid).map(|before| {
            index.note_gone(before.domain);
            before.uid
        });
        index.put_in(key, Held { resident, watch, listing });
        News { needs_pass, replaced }
    }

    /// Forgets an object that is gone. Says which UID it had.
    pub fn forget(&self, key: &Key) -> Option<Box<str>> {
        let mut index = locked(&self.index);
        let held = index.take_out(key)?;
        index.note_gone(held.resident.domain);
        Some(held.resident.uid)
    }

    /// A watch begins to list anew.
    pub fn begin_listing(&self, watch: usize) {
        let mut index = locked(&self.index);
        let listing = index.listings.entry(watch).or_default();
        *listing = listing.wrapping_add(1);
    }

    /// A watch has listed everything: what it showed before and did not list is gone.
    pub fn end_listing(&self, watch: usize) -> Vec<Key> {
        let index = locked(&self.index);
        let listing = index.listings.get(&watch).copied().unwrap_or_default();
        let gone = index.residents.iter().filter(|(_, held)| held.watch == watch && held.listing != listing);
        let mut gone: Vec<Key> = gone.map(|(key, _)| key.clone()).collect();
        gone.sort();
        gone
    }

    /// Does something with the UID of the object, if it is there.
    pub fn with_uid(&self, key: &Key, act: impl FnOnce(&str)) {
        let uid = locked(&self.index).residents.get(key).map(|held| held.resident.uid.clone());
        if let Some(uid) = uid {
            act(&uid);
        }
    }

    /// How many objects there are.
    pub fn count(&self) -> usize {
        locked(&self.index).residents.len()
    }

    /// The namespaces in which there are objects.
    pub fn namespaces(&self) -> BTreeSet<Arc<str>> {
        locked(&self.index).residents.keys().map(|key| Arc::clone(&key.namespace)).collect()
    }

    /// Shows every object to `see`.
    pub fn each(&self, mut see: impl FnMut(&Shown)) {
        locked(&self.index).residents.values().for_each(|held| see(&held.resident.shown));
    }

    /// Takes the sole right to a domain from before the lookup until after the purchase: of two objects with one domain the second then
    /// looks only when the first is done, whatever the watch has brought. `None` if another pass holds it.
    pub fn claim(&self, object: &PaiInstance) -> Option<Purchasing> {
        let domain = Domain::of(object);
        let fresh = locked(&self.buying).insert(domain.clone());
        fresh.then(|| Purchasing { domain, buying: Arc::clone(&self.buying) })
    }

    /// Another object with the same domain and region and a better claim to it, as `namespace/name`.
    pub fn rival(&self, object: &PaiInstance) -> Option<String> {
        let (uid, ours) = (object.uid().unwrap_or_default(), Claim::of(object));
        let index = locked(&self.index);
        let others = index.by_domain.get(&Domain::of(object)).into_iter().flatten();
        let others = others.filter_map(|key| Some((key, &index.residents.get(key)?.resident)));
        let rivals = others.filter(|(_, other)| *other.uid != *uid && other.claim() < ours);
        rivals.min_by_key(|(_, other)| other.claim()).map(|(key, _)| key.to_string())
    }

    /// Whether an object with the same domain and region went since then: it may have left a machine that a look from before did not see.
    pub fn another_went_since(&self, object: &PaiInstance, since: Instant) -> bool {
        locked(&self.index).gone.get(&Domain::of(object)).is_some_and(|gone| *gone >= since)
    }

    /// Another object that holds the machine, as `namespace/name`.
    pub fn holder_of(&self, id: &str, uid: &str) -> Option<String> {
        let index = locked(&self.index);
        let mut holders = index.by_id.get(id)?.iter();
        let other = |key: &&Key| index.residents.get(*key).is_some_and(|held| *held.resident.uid != *uid);
        holders.find(other).map(ToString::to_string)
    }
}

impl Index {
    fn take_out(&mut self, key: &Key) -> Option<Held> {
        let held = self.residents.remove(key)?;
        leave(&mut self.by_domain, &held.resident.domain, key);
        for id in &held.resident.ids {
            leave(&mut self.by_id, id, key);
        }
        Some(held)
    }

    fn put_in(&mut self, key: &Key, held: Held) {
        self.by_domain.entry(held.resident.domain.clone()).or_default().insert(key.clone());
        for id in &held.resident.ids {
            self.by_id.entry(id.clone()).or_default().insert(key.clone());
        }
        self.residents.insert(key.clone(), held);
    }

    fn note_gone(&mut self, domain: Domain) {
        let now = Instant::now();
        self.gone.retain(|_, at| now.duration_since(*at) < REMEMBER_GONE);
        self.gone.insert(domain, now);
    }
}

/// Takes a key out of one set, and the set if it was the last.
fn leave<K: std::hash::Hash + Eq>(sets: &mut HashMap<K, BTreeSet<Key>>, place: &K, key: &Key) {
    if let Some(set) = sets.get_mut(place) {
        set.remove(key);
        if set.is_empty() {
            sets.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, uid: &str, created: &str, domain: &str, ids: &[&str]) -> PaiInstance {
        serde_json::from_value(json!({
            "apiVersion": "pai.tencentcloud.io/v1alpha1", "kind": "PaiInstance",
            "metadata": {"name": name, "namespace": "default", "uid": uid, "creationTimestamp": created},
            "spec": {"region": "ap-guangzhou", "credentialsRef": {"name": "c"}, "domainName": domain, "internetAccessible": {}},
            "status": {"instanceIds": ids}
        }))
        .unwrap()
    }

    fn key(name: &str) -> Key {
        Key { namespace: "default".into(), name: name.into() }
    }

    fn among(all: &[&PaiInstance]) -> Objects {
        let objects = Objects::default();
        for one in all {
            objects.note(0, &key(&one.name_any()), one);
        }
        objects
    }

    #[test]
    fn the_better_claim_wins() {
        let old = object("old", "2", "2026-01-01T00:00:00Z", "a.b", &[]);
        let same_age = object("same-age", "1", "2026-01-01T00:00:00Z", "a.b", &[]);
        let young_with_machine = object("young", "3", "2026-01-02T00:00:00Z", "a.b", &["ins-1"]);
        let elsewhere = object("elsewhere", "0", "2025-01-01T00:00:00Z", "c.d", &[]);
        let mut other_region = object("other-region", "9", "2025-01-01T00:00:00Z", "a.b", &[]);
        other_region.spec.region = "ap-beijing".to_owned();
        assert_eq!(among(&[&old, &elsewhere, &other_region]).rival(&old), None);
        assert_eq!(among(&[&old, &same_age]).rival(&old), Some("default/same-age".to_owned()));
        assert_eq!(among(&[&old, &same_age]).rival(&same_age), None);
        let all = among(&[&old, &same_age, &young_with_machine]);
        assert_eq!(all.rival(&old), Some("default/young".to_owned()));
        assert_eq!(all.rival(&young_with_machine), None);
        assert_eq!(all.holder_of("ins-1", "2"), Some("default/young".to_owned()));
        assert_eq!(all.holder_of("ins-1", "3"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_went_is_remembered_for_as_long_as_a_look_is_used() {
        let one = object("one", "1", "2026-01-01T00:00:00Z", "a.b", &["ins-1"]);
        let two = object("two", "2", "2026-01-02T00:00:00Z", "a.b", &[]);
        let objects = among(&[&one, &two]);
        let before = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!objects.another_went_since(&two, before));
        assert_eq!(objects.forget(&key("one")).as_deref(), Some("1"));
        assert!(objects.another_went_since(&two, before));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!objects.another_went_since(&two, Instant::now()), "a look from now on sees what it left");
        assert_eq!(objects.rival(&two), None);
        assert_eq!(objects.holder_of("ins-1", "2"), None);
    }

    #[test]
    fn a_new_listing_shows_who_is_gone_in_its_own_watch_only() {
        let objects = Objects::default();
        let one = object("one", "1", "2026-01-01T00:00:00Z", "a.b", &[]);
        let two = object("two", "2", "2026-01-01T00:00:00Z", "c.d", &[]);
        for (watch, object) in [(0, &one), (1, &two)] {
            objects.begin_listing(watch);
            assert!(objects.note(watch, &key(&object.name_any()), object).needs_pass);
            assert!(objects.end_listing(watch).is_empty());
        }
        objects.begin_listing(0);
        assert_eq!(objects.end_listing(0), [key("one")]);
        objects.forget(&key("one"));
        assert_eq!(objects.count(), 1);
    }
}
