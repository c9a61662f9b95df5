//! The objects as the watch last showed them, for questions about *other* objects only. A decision about an object's own money is
//! never made from here, since a watch may be old.

use kube::ResourceExt;
use kube::runtime::reflector::Store;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::api::PaiInstance;

/// All watched objects, and the domains for which this process is buying at this moment.
#[derive(Debug, Default)]
pub struct Objects {
    stores: RwLock<Vec<Store<PaiInstance>>>,
    buying: Arc<Mutex<HashSet<(String, String)>>>,
}

/// The sole right of one pass to look for and buy a machine with a domain, until it is dropped.
#[derive(Debug)]
pub struct Claim {
    key: (String, String),
    buying: Arc<Mutex<HashSet<(String, String)>>>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.buying.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Objects {
    /// Takes the stores of the watches that have begun.
    pub fn set(&self, stores: Vec<Store<PaiInstance>>) {
        *self.stores.write().unwrap_or_else(PoisonError::into_inner) = stores;
    }

    fn all(&self) -> Vec<Arc<PaiInstance>> {
        self.stores.read().unwrap_or_else(PoisonError::into_inner).iter().flat_map(Store::state).collect()
    }

    /// Takes the sole right to a domain from before the lookup until after the purchase: of two objects with one domain the second then
    /// looks only when the first is done, whatever the watch has brought. `None` if another pass holds it.
    pub fn claim(&self, object: &PaiInstance) -> Option<Claim> {
        let key = (object.spec.region.clone(), object.spec.domain_name.clone());
        let fresh = self.buying.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        fresh.then(|| Claim { key, buying: Arc::clone(&self.buying) })
    }

    /// Another object with the same domain and region and a better claim to it, as `namespace/name`.
    pub fn rival(&self, object: &PaiInstance) -> Option<String> {
        let rivals = self.all().into_iter().filter(|other| {
            other.uid() != object.uid()
                && other.spec.domain_name == object.spec.domain_name
                && other.spec.region == object.spec.region
                && claim(other) < claim(object)
        });
        rivals.min_by_key(|other| claim(other)).map(|other| name_of(&other))
    }

    /// Another object that holds the machine, as `namespace/name`.
    pub fn holder_of(&self, id: &str, uid: &str) -> Option<String> {
        let all = self.all();
        let holder = all.iter().find(|other| {
            other.metadata.uid.as_deref() != Some(uid)
                && other.status.as_ref().is_some_and(|status| status.instance_ids.iter().any(|known| known == id))
        });
        holder.map(|other| name_of(other))
    }
}

/// The order of claims, smallest first: who has a machine or an attempt, then the older, then the smaller UID.
///
/// Source: reliability step 3.
fn claim(object: &PaiInstance) -> (bool, Option<i64>, Option<String>) {
    let begun =
        object.status.as_ref().is_some_and(|status| !status.instance_ids.is_empty() || status.create_attempt.is_some());
    let created = object.metadata.creation_timestamp.as_ref().map(|time| time.0.as_second());
    (!begun, created, object.uid())
}

fn name_of(object: &PaiInstance) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector;
    use kube::runtime::watcher::Event;
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

    #[test]
    fn the_better_claim_wins() {
        let old = object("old", "2", "2026-01-01T00:00:00Z", "a.b", &[]);
        let same_age = object("same-age", "1", "2026-01-01T00:00:00Z", "a.b", &[]);
        let young_with_machine = object("young", "3", "2026-01-02T00:00:00Z", "a.b", &["ins-1"]);
        let elsewhere = object("elsewhere", "0", "2025-01-01T00:00:00Z", "c.d", &[]);
        let mut other_region = object("other-region", "9", "2025-01-01T00:00:00Z", "a.b", &[]);
        other_region.spec.region = "ap-beijing".to_owned();
        let among = |all: &[&PaiInstance]| {
            let (reader, mut writer) = reflector::store();
            for one in all {
                writer.apply_watcher_event(&Event::Apply((*one).clone()));
            }
            let objects = Objects::default();
            objects.set(vec![reader]);
            objects
        };
        assert_eq!(among(&[&old, &elsewhere, &other_region]).rival(&old), None);
        assert_eq!(among(&[&old, &same_age]).rival(&old), Some("default/same-age".to_owned()));
        assert_eq!(among(&[&old, &same_age]).rival(&same_age), None);
        let all = among(&[&old, &same_age, &young_with_machine]);
        assert_eq!(all.rival(&old), Some("default/young".to_owned()));
        assert_eq!(all.rival(&young_with_machine), None);
        assert_eq!(all.holder_of("ins-1", "2"), Some("default/young".to_owned()));
        assert_eq!(all.holder_of("ins-1", "3"), None);
    }
}
