//! The API server as the bench uses it: objects made and deleted over a few connections, their progress followed by a
//! watch, and the server's own count of writes. Needs a running stack. Must not poll, as that would be load of ours.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use kube::api::{DeleteParams, DynamicObject, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Config};
use pai_harness::Stack;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::bystander::Bystander;
use crate::objects::{BATCH, KIND};
use crate::{Error, while_doing};

/// Requests in flight at one time. Our choice: few enough to leave the API server to the operator, many enough to apply
/// 1,000 objects within seconds.
const CONNECTIONS: usize = 8;

/// The API server, as its administrator.
pub struct Cluster {
    runtime: Runtime,
    client: Client,
    objects: Api<DynamicObject>,
}

/// An object that was made, or is being deleted.
#[derive(Clone, Debug)]
pub struct Done {
    /// As the API server answered it.
    pub object: DynamicObject,
    /// Just before the request was sent.
    pub sent: Timestamp,
    /// Just after it was answered.
    pub answered: Timestamp,
}

/// Write requests that the API server has counted since its start, refused ones included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// On `PaiInstance` objects, their status included.
    pub objects: u64,
    /// On Events.
    pub events: u64,
}

impl Cluster {
    /// Connects to a stack's API server.
    pub fn connect(stack: &Stack) -> Result<Self, Error> {
        // Somebody before us in this process may have done it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Runtime::new().map_err(while_doing("starting a runtime"))?;
        let kubeconfig = Kubeconfig::read_from(stack.kubeconfig()).map_err(while_doing("reading the kubeconfig"))?;
        let client = runtime
            .block_on(async {
                let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
                Ok::<_, Error>(Client::try_from(config.map_err(while_doing("using the kubeconfig"))?))
            })?
            .map_err(while_doing("connecting to the API server"))?;
        let kind = GroupVersionKind::gvk("pai.tencentcloud.io", "v1alpha1", KIND);
        let resource = ApiResource::from_gvk_with_plural(&kind, "paiinstances");
        let objects = Api::namespaced_with(client.clone(), stack.namespace(), &resource);
        Ok(Self { runtime, client, objects })
    }

    /// Creates objects, some at one time, in any order.
    pub fn create(&self, objects: Vec<Value>) -> Result<Vec<Done>, Error> {
        let each = futures::stream::iter(objects).map(|object| make(&self.objects, object));
        self.runtime.block_on(each.buffer_unordered(CONNECTIONS).try_collect())
    }

    /// Creates one object.
    pub fn create_one(&self, object: Value) -> Result<Done, Error> {
        self.runtime.block_on(make(&self.objects, object))
    }

    /// Asks for the deletion of one object, which then waits for its finalizer.
    pub fn delete(&self, name: &str) -> Result<Done, Error> {
        let sent = Timestamp::now();
        let reply = self.runtime.block_on(self.objects.delete(name, &DeleteParams::default()));
        let answered = Timestamp::now();
        let object = reply.map_err(while_doing(&format!("deleting {name}")))?.left();
        let object = object.ok_or_else(|| Error::Other(format!("{name} was gone at once: it had no finalizer")))?;
        Ok(Done { object, sent, answered })
    }

    /// Replaces the status of objects, some at one time.
    pub fn put_status(&self, objects: Vec<DynamicObject>) -> Result<(), Error> {
        let put = |object: DynamicObject| async move {
            let name = object.metadata.name.clone().unwrap_or_default();
            let reply = self.objects.replace_status(&name, &PostParams::default(), &object).await;
            reply.map(drop).map_err(while_doing(&format!("writing the status of {name}")))
        };
        let each = futures::stream::iter(objects).map(put);
        self.runtime.block_on(each.buffer_unordered(CONNECTIONS).try_collect())
    }

    /// One object.
    pub fn get(&self, name: &str) -> Result<DynamicObject, Error> {
        self.runtime.block_on(self.objects.get(name)).map_err(while_doing(&format!("reading {name}")))
    }

    /// The API server's count of writes.
    pub fn writes(&self) -> Result<Writes, Error> {
        let page = self.runtime.block_on(async {
            let request = http::Request::get("/metrics").body(Vec::new());
            let request = request.map_err(while_doing("asking for /metrics"))?;
            self.client.request_text(request).await.map_err(while_doing("reading /metrics of the API server"))
        })?;
        Ok(count(&page))
    }

    /// A watch of the objects of some batches from now on.
    pub fn bystander(&self, batches: &[&str]) -> Result<Bystander, Error> {
        let labels = format!("{BATCH} in ({})", batches.join(","));
        self.runtime.block_on(Bystander::follow(self.objects.clone(), &labels))
    }

    /// Follows the objects of a batch from now on.
    pub fn follow(&self, batch: &str) -> Follower {
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        let config = watcher::Config::default().labels(&format!("{BATCH}={batch}"));
        let stream = watcher(self.objects.clone(), config).default_backoff().touched_objects();
        let book = Arc::clone(&seen);
        let task = self.runtime.spawn(stream.for_each(move |object| {
            if let Ok(object) = object {
                note(&mut book.lock().unwrap_or_else(PoisonError::into_inner), &object, Timestamp::now());
            }
            std::future::ready(())
        }));
        Follower { seen, task }
    }
}

async fn make(objects: &Api<DynamicObject>, object: Value) -> Result<Done, Error> {
    let object: DynamicObject = serde_json::from_value(object).map_err(while_doing("writing an object"))?;
    let name = object.metadata.name.clone().unwrap_or_default();
    let sent = Timestamp::now();
    let reply = objects.create(&PostParams::default(), &object).await;
    let answered = Timestamp::now();
    Ok(Done { object: reply.map_err(while_doing(&format!("creating {name}")))?, sent, answered })
}

/// Sums the writes in the text form of `/metrics`.
fn count(page: &str) -> Writes {
    let mut writes = Writes::default();
    for line in page.lines().filter_map(|line| line.strip_prefix("apiserver_request_total{")) {
        let Some((labels, value)) = line.rsplit_once("} ") else { continue };
        let has = |label: &str| labels.split(',').any(|one| one == label);
        let writes_something = ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"]
            .iter()
            .any(|verb| has(&format!("verb=\"{verb}\"")));
        // Whole numbers below 2^53, which the page writes as 1e+06 from a million on.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let value = value.trim().parse::<f64>().unwrap_or(0.0) as u64;
        if writes_something && has("resource=\"paiinstances\"") {
            writes.objects += value;
        } else if writes_something && has("resource=\"events\"") {
            writes.events += value;
        }
    }
    writes
}

/// When an object was first seen in a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    ids: Option<Timestamp>,
    ready: Option<Timestamp>,
}

fn note(book: &mut BTreeMap<String, Seen>, object: &DynamicObject, now: Timestamp) {
    let seen = book.entry(object.metadata.name.clone().unwrap_or_default()).or_default();
    let list = |pointer: &str| object.data.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    if list("/status/instanceIds").next().is_some() {
        seen.ids.get_or_insert(now);
    }
    let is = |condition: &Value, field: &str, value: &str| condition.get(field).is_some_and(|is| is == value);
    if list("/status/conditions").any(|condition| is(condition, "type", "Ready") && is(condition, "status", "True")) {
        seen.ready.get_or_insert(now);
    }
}

/// What became of the objects of a batch; dropping it ends the watch.
#[derive(Debug)]
pub struct Follower {
    seen: Arc<Mutex<BTreeMap<String, Seen>>>,
    task: JoinHandle<()>,
}

impl Follower {
    /// Moments at which objects were first seen with instance ids, in order.
    pub fn with_ids(&self) -> Vec<Timestamp> {
        self.moments(|seen| seen.ids)
    }

    /// Moments at which objects were first seen ready, in order.
    pub fn ready(&self) -> Vec<Timestamp> {
        self.moments(|seen| seen.ready)
    }

    fn moments(&self, of: impl Fn(&Seen) -> Option<Timestamp>) -> Vec<Timestamp> {
        let book = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut moments: Vec<Timestamp> = book.values().filter_map(of).collect();
        moments.sort();
        moments
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_writes_on_our_objects_and_on_events_count() {
        let line = |verb: &str, resource: &str, more: &str, value: &str| {
            format!("apiserver_request_total{{code=\"200\",resource=\"{resource}\",{more}verb=\"{verb}\"}} {value}\n")
        };
        let page = [
            "# TYPE apiserver_request_total counter\n".to_owned(),
            line("PUT", "paiinstances", "subresource=\"status\",", "3"),
            line("PATCH", "paiinstances", "", "1e+03"),
            line("GET", "paiinstances", "", "70"),
            line("WATCH", "paiinstances", "", "70"),
            line("POST", "events", "", "5"),
            line("PUT", "leases", "", "900"),
            "apiserver_request_duration_seconds_count{resource=\"paiinstances\",verb=\"PUT\"} 8\n".to_owned(),
        ];
        assert_eq!(count(&page.concat()), Writes { objects: 1003, events: 5 });
    }

    #[test]
    fn the_first_time_is_kept() {
        let object = |status: Value| -> DynamicObject {
            serde_json::from_value(json!({"metadata": {"name": "a"}, "status": status})).unwrap()
        };
        let at = |second| Timestamp::from_second(second).unwrap();
        let ready = json!({"instanceIds": ["ins-1"], "conditions": [{"type": "Ready", "status": "True"}]});
        let mut book = BTreeMap::new();
        note(&mut book, &object(json!({"instanceIds": []})), at(1));
        assert_eq!(book["a"], Seen::default());
        note(&mut book, &object(json!({"instanceIds": ["ins-1"]})), at(2));
        note(&mut book, &object(ready.clone()), at(3));
        note(&mut book, &object(ready), at(4));
        assert_eq!(book["a"], Seen { ids: Some(at(2)), ready: Some(at(3)) });
    }
}
