//! The objects of the scenarios, and settled ones made after the picture of a real one. Pure.

use kube::api::DynamicObject;
use serde_json::{Map, Value, json};

/// Label by which the objects of one step of a scenario are followed.
pub const BATCH: &str = "pai-bench/batch";

/// The kind that is measured.
pub const KIND: &str = "PaiInstance";

/// Region of all machines.
const REGION: &str = "ap-guangzhou";

/// The domain of the object with that name.
pub fn domain(name: &str) -> String {
    format!("{name}.pai.tcloudbase.com")
}

/// A new object: the least that makes sense, billed by the hour, as in `deploy/samples/hourly.yaml`.
pub fn object(name: &str, batch: &str) -> Value {
    json!({
        "apiVersion": "pai.tencentcloud.io/v1alpha1",
        "kind": KIND,
        "metadata": {"name": name, "labels": {BATCH: batch}},
        "spec": {
            "region": REGION,
            "credentialsRef": {"name": pai_harness::SECRET_NAME},
            "domainName": domain(name),
            "instanceTypes": ["S4.SMALL2"],
            "internetAccessible": {"internetMaxBandwidthOut": 10},
            "instanceChargeType": "POSTPAID_BY_HOUR",
        },
    })
}

/// Names `first-00000`, `first-00001` and so on.
pub fn names(first: &str, count: usize) -> impl Iterator<Item = String> + use<> {
    let first = first.to_owned();
    (0..count).map(move |number| format!("{first}-{number:05}"))
}

/// The UID without hyphens, as it ends the operator's marker.
pub fn uid_digits(object: &DynamicObject) -> String {
    object.metadata.uid.as_deref().unwrap_or_default().replace('-', "")
}

/// A settled object: it, and the machine that the cloud shows for it.
#[derive(Clone, Debug)]
pub struct Template {
    object: DynamicObject,
    machine: Value,
    account: String,
}

impl Template {
    /// After a real object that the operator brought to Ready, and its machine as the cloud shows it.
    pub fn new(object: DynamicObject, machine: Value, account: &str) -> Self {
        Self { object, machine, account: account.to_owned() }
    }

    /// The id of the template's own machine.
    pub fn id(&self) -> &str {
        text(&self.machine, "/InstanceId")
    }

    /// A new object that is like the template but for its name and domain; it has no status yet.
    pub fn spec_of(&self, name: &str, batch: &str) -> Value {
        let mut copy = object(name, batch);
        if let Some(metadata) = copy.pointer_mut("/metadata").and_then(Value::as_object_mut) {
            let of = &self.object.metadata;
            metadata.insert("finalizers".into(), json!(of.finalizers));
            metadata.insert("annotations".into(), json!(of.annotations));
        }
        copy
    }

    /// The machine with this number for the created object, in the form in which the stand-in cloud takes it.
    pub fn machine_of(&self, created: &DynamicObject, number: usize) -> Map<String, Value> {
        let name = created.metadata.name.as_deref().unwrap_or_default();
        let mut machine = Map::new();
        for field in ["InstanceType", "InstanceChargeType", "InternetAccessible", "CreatedTime", "InstanceState"] {
            machine.insert(field.into(), self.machine.get(field).cloned().unwrap_or_default());
        }
        let more = json!({
            "InstanceId": machine_id(number),
            "InstanceName": self.marker_of(created),
            "DomainName": domain(name),
            "Region": REGION,
            "Zone": text(&self.machine, "/Placement/Zone"),
            "PublicIpAddresses": [public_address(number)],
            "PrivateIpAddresses": [private_address(number)],
            "account": self.account,
        });
        machine.extend(more.as_object().cloned().unwrap_or_default());
        machine
    }

    /// The created object with the status that the operator wrote for the template, in which every name of the
    /// template's is replaced by the own one.
    pub fn settled(&self, mut created: DynamicObject, number: usize) -> DynamicObject {
        let name = created.metadata.name.clone().unwrap_or_default();
        let status = self.object.data.get("status").cloned().unwrap_or_default();
        let attempt = text(&status, "/createAttempt/id").to_owned();
        let request = text(&status, "/requestId").to_owned();
        let own_name = self.object.metadata.name.as_deref().unwrap_or_default();
        let replaced = [
            (text(&self.machine, "/InstanceName"), self.marker_of(&created)),
            (&domain(own_name), domain(&name)),
            (self.id(), machine_id(number)),
            (text(&self.machine, "/PublicIpAddresses/0"), public_address(number)),
            (text(&self.machine, "/PrivateIpAddresses/0"), private_address(number)),
            (&attempt, numbered(&attempt, number)),
            (&request, numbered(&request, number)),
        ];
        created.data["status"] = rewritten(&status, &replaced);
        created
    }

    /// The operator's marker for the created object: the template's, with the other name and UID.
    fn marker_of(&self, created: &DynamicObject) -> String {
        let name = |object: &DynamicObject| object.metadata.name.clone().unwrap_or_default();
        let marker = text(&self.machine, "/InstanceName").replace(&name(&self.object), &name(created));
        marker.replace(&uid_digits(&self.object), &uid_digits(created))
    }
}

/// Id of the machine with this number.
pub fn machine_id(number: usize) -> String {
    format!("ins-s{number:07}")
}

/// From 198.18.0.0/15, which is set aside for tests (RFC 2544).
fn public_address(number: usize) -> String {
    format!("198.19.{}.{}", number / 250, number % 250 + 1)
}

fn private_address(number: usize) -> String {
    format!("10.200.{}.{}", number / 250, number % 250 + 1)
}

/// An id of the same length that ends with the number.
fn numbered(id: &str, number: usize) -> String {
    let digits = number.to_string();
    let kept: String = id.chars().take(id.chars().count().saturating_sub(digits.len())).collect();
    format!("{kept}{digits}")
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The value with each text replaced in all its strings; empty texts stand nowhere.
fn rewritten(value: &Value, pairs: &[(&str, String)]) -> Value {
    match value {
        Value::String(text) => {
            let pairs = pairs.iter().filter(|(from, _)| !from.is_empty());
            Value::String(pairs.fold(text.clone(), |text, (from, to)| text.replace(from, to)))
        }
        Value::Array(items) => items.iter().map(|item| rewritten(item, pairs)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), rewritten(field, pairs))).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str, uid: &str, status: &Value) -> DynamicObject {
        serde_json::from_value(json!({
            "metadata": {"name": name, "uid": uid, "finalizers": ["f"], "annotations": {"a": "b"}}, "status": status,
        }))
        .unwrap()
    }

    fn template() -> Template {
        let status = json!({
            "observedGeneration": 1,
            "instanceIds": ["ins-abcdefgh"],
            "requestId": "11111111-aaaa",
            "createAttempt": {"id": "0123456789abcdef", "instanceName": "default-template-aaaabbbb",
                              "domainName": "template.pai.tcloudbase.com"},
            "instances": [{"id": "ins-abcdefgh", "publicIpAddresses": ["198.18.0.7"]}],
            "conditions": [{"type": "Ready", "message": "ins-abcdefgh runs at 198.18.0.7."}],
        });
        let machine = json!({
            "InstanceId": "ins-abcdefgh", "InstanceName": "default-template-aaaabbbb", "InstanceState": "RUNNING",
            "PublicIpAddresses": ["198.18.0.7"], "PrivateIpAddresses": ["10.0.0.7"],
            "Placement": {"Zone": "ap-guangzhou-1"}, "InstanceType": "S4.SMALL2",
        });
        Template::new(made("template", "aaaa-bbbb", &status), machine, "AKID")
    }

    #[test]
    fn a_settled_object_has_the_templates_status_with_its_own_names() {
        let settled = template().settled(made("one", "cccc-dddd", &Value::Null), 251);
        assert_eq!(
            settled.data["status"],
            json!({
                "observedGeneration": 1,
                "instanceIds": ["ins-s0000251"],
                "requestId": "11111111-a251",
                "createAttempt": {"id": "0123456789abc251", "instanceName": "default-one-ccccdddd",
                                  "domainName": "one.pai.tcloudbase.com"},
                "instances": [{"id": "ins-s0000251", "publicIpAddresses": ["198.19.1.2"]}],
                "conditions": [{"type": "Ready", "message": "ins-s0000251 runs at 198.19.1.2."}],
            })
        );
    }

    #[test]
    fn the_machine_and_the_object_name_each_other() {
        let machine = template().machine_of(&made("one", "cccc-dddd", &Value::Null), 251);
        for (field, value) in [
            ("InstanceId", "ins-s0000251"),
            ("InstanceName", "default-one-ccccdddd"),
            ("DomainName", "one.pai.tcloudbase.com"),
            ("Zone", "ap-guangzhou-1"),
            ("account", "AKID"),
        ] {
            assert_eq!(machine[field], value, "{field}");
        }
        let object = template().spec_of("one", "batch");
        assert_eq!(object["metadata"]["finalizers"], json!(["f"]));
        assert_eq!(object["spec"]["domainName"], machine["DomainName"]);
    }
}
