//! What a watch reads of an object: all but the bookkeeping in its metadata, `managedFields` above all, which is as long as the rest and
//! slow to read. With 10,000 objects that is a second of the start.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use kube::core::NamespaceResourceScope;
use serde::{Deserialize, Deserializer};

use crate::api::{PaiInstance, PaiInstanceSpec, PaiInstanceStatus};

/// An object as a watch shows it. Who writes it reads it anew, and whole. Boxed, as it goes through many hands and has thousands of bytes.
#[derive(Clone, Debug)]
pub struct Watched(pub Box<PaiInstance>);

/// The object with the part of its metadata that is used.
#[derive(Deserialize)]
struct Read {
    metadata: Metadata,
    spec: PaiInstanceSpec,
    status: Option<PaiInstanceStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    finalizers: Option<Vec<String>>,
    annotations: Option<BTreeMap<String, String>>,
}

impl<'de> Deserialize<'de> for Watched {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Read { metadata, spec, status } = Read::deserialize(deserializer)?;
        let metadata = ObjectMeta {
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            generation: metadata.generation,
            creation_timestamp: metadata.creation_timestamp,
            deletion_timestamp: metadata.deletion_timestamp,
            finalizers: metadata.finalizers,
            annotations: metadata.annotations,
            ..ObjectMeta::default()
        };
        Ok(Self(Box::new(PaiInstance { metadata, spec, status })))
    }
}

impl Resource for Watched {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        PaiInstance::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        PaiInstance::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        PaiInstance::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        PaiInstance::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.meta_mut()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_is_lost_but_bookkeeping() {
        let object = json!({
            "apiVersion": "pai.tencentcloud.io/v1alpha1", "kind": "PaiInstance",
            "metadata": {
                "name": "web", "namespace": "default", "uid": "u", "resourceVersion": "7", "generation": 2, "generateName": "we",
                "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-02T00:00:00Z",
                "deletionGracePeriodSeconds": 0, "finalizers": ["pai.tencentcloud.io/instance"],
                "annotations": {"pai.tencentcloud.io/paused": "true"}, "labels": {"app": "web"},
                "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "q"}],
                "managedFields": [{"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {"f:region": {}}}}],
            },
            "spec": {"region": "ap-guangzhou", "credentialsRef": {"name": "c"}, "domainName": "a.b", "internetAccessible": {}},
            "status": {"instanceIds": ["ins-1"]},
        });
        let mut whole: PaiInstance = serde_json::from_value(object.clone()).unwrap();
        let Watched(watched) = serde_json::from_value(object).unwrap();
        whole.metadata.managed_fields = None;
        whole.metadata.labels = None;
        whole.metadata.owner_references = None;
        whole.metadata.generate_name = None;
        whole.metadata.deletion_grace_period_seconds = None;
        assert_eq!(serde_json::to_value(watched).unwrap(), serde_json::to_value(whole).unwrap());
    }
}
