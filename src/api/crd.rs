//! The finished CustomResourceDefinition: the derived schema plus what a derive cannot say. Pure; `pai-operator crd` prints it.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use super::rules;
use super::spec::PaiInstance;

/// Why the CRD could not be built. It means a mistake in this crate: the CRD's test shows it first.
#[derive(Debug, thiserror::Error)]
pub enum BuildCrd {
    /// The schema is not the JSON we expect.
    #[error("the derived schema cannot be completed: {0}")]
    Json(#[from] serde_json::Error),
    /// A rule stands on a place that the schema does not have.
    #[error("the schema has no place {0}")]
    NoSuchPlace(String),
    /// The CRD cannot be written as YAML.
    #[error("the CRD cannot be written as YAML: {0}")]
    Yaml(String),
}

/// Name of the CRD. Source: Kubernetes (`<plural>.<group>`).
pub const CRD_NAME: &str = "paiinstances.pai.tencentcloud.io";

/// One column of `kubectl get pai`: name, type, priority (0 always, 1 with `-o wide`), JSONPath, description.
type Column = (&'static str, &'static str, i64, &'static str, &'static str);

/// The columns of `kubectl get pai`. Source: design section 2.
const COLUMNS: &[Column] = &[
    (
        "Ready",
        "string",
        0,
        r#".status.conditions[?(@.type=="Ready")].status"#,
        "Whether the machine runs and has its address",
    ),
    ("Reason", "string", 0, r#".status.conditions[?(@.type=="Ready")].reason"#, "Why it is ready or not"),
    ("State", "string", 0, ".status.instances[0].state", "State of the machine in the cloud's own word"),
    ("Instance", "string", 0, ".status.instanceIds[0]", "Id of the machine"),
    ("Domain", "string", 0, ".spec.domainName", "Domain name"),
    ("Region", "string", 1, ".spec.region", "Region"),
    ("Type", "string", 1, ".status.instances[0].instanceType", "Instance type that was taken"),
    ("Address", "string", 1, ".status.instances[0].publicIpAddresses[0]", "Public address"),
    ("Message", "string", 1, r#".status.conditions[?(@.type=="Ready")].message"#, "What happened and what to do"),
    ("Age", "date", 0, ".metadata.creationTimestamp", "Age of the object"),
];

/// The CRD as it is installed.
pub fn crd() -> Result<CustomResourceDefinition, BuildCrd> {
    let mut crd = serde_json::to_value(PaiInstance::crd())?;
    let columns: Vec<Value> = COLUMNS
        .iter()
        .map(|(name, kind, priority, path, description)| {
            json!({ "name": name, "type": kind, "priority": priority, "jsonPath": path, "description": description })
        })
        .collect();
    let version = crd.pointer_mut("/spec/versions/0").ok_or_else(|| BuildCrd::NoSuchPlace("versions[0]".to_owned()))?;
    insert(version, "additionalPrinterColumns", json!(columns));
    let schema = crd
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema")
        .ok_or_else(|| BuildCrd::NoSuchPlace("openAPIV3Schema".to_owned()))?;
    tidy(schema);
    complete_status(schema)?;
    for rule in rules::all() {
        let place = property(schema, rule.at)?;
        let mut entry = json!({ "rule": rule.rule, "message": rule.message });
        if !rule.field_path.is_empty() {
            insert(&mut entry, "fieldPath", json!(rule.field_path));
        }
        match place.get_mut("x-kubernetes-validations").and_then(Value::as_array_mut) {
            Some(list) => list.push(entry),
            None => insert(place, "x-kubernetes-validations", json!([entry])),
        }
    }
    Ok(serde_json::from_value(crd)?)
}

/// The CRD as the YAML that stands in `crds/`.
pub fn yaml() -> Result<String, BuildCrd> {
    serde_saphyr::to_string(&crd()?).map_err(|error| BuildCrd::Yaml(error.to_string()))
}

/// Makes the schema what Kubernetes expects, at every depth.
///
/// - `nullable` goes: the API server then prunes a `null`, so that "absent" has one form and `has()` means what it says.
/// - a `null` in an enum goes with it.
/// - a description is unwrapped, because `kubectl explain` breaks the lines itself.
/// - every list has a list type; order counts in ours, so they are atomic unless said otherwise.
fn tidy(schema: &mut Value) {
    if let Some(map) = schema.as_object_mut() {
        map.remove("nullable");
        if let Some(words) = map.get_mut("enum").and_then(Value::as_array_mut) {
            words.retain(|word| !word.is_null());
        }
        if map.get("type").and_then(Value::as_str) == Some("array") && !map.contains_key("x-kubernetes-list-type") {
            map.insert("x-kubernetes-list-type".to_owned(), json!("atomic"));
        }
        if let Some(Value::String(description)) = map.get_mut("description") {
            *description = unwrapped(description);
        }
        if let Some(properties) = map.get_mut("properties").and_then(Value::as_object_mut) {
            properties.values_mut().for_each(tidy);
        }
        if let Some(items) = map.get_mut("items") {
            tidy(items);
        }
    }
}

/// The text with the line breaks inside its paragraphs replaced by blanks.
fn unwrapped(text: &str) -> String {
    let paragraphs: Vec<String> = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
    paragraphs.join("\n\n")
}

/// Bounds and keys of the status that its types cannot carry, and the default that makes a new object "in progress" to kstatus.
fn complete_status(schema: &mut Value) -> Result<(), BuildCrd> {
    let status = property(schema, &["status"])?;
    insert(status, "default", json!({ "observedGeneration": -1 }));
    let instances = property(schema, &["status", "instances"])?;
    merge(instances, json!({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"] }));
    let conditions = property(schema, &["status", "conditions"])?;
    merge(
        conditions,
        json!({ "maxItems": 16, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"] }),
    );
    // The bounds of metav1.Condition, from the Kubernetes API reference; k8s-openapi's type does not carry them.
    for (field, bound) in [
        ("type", json!({ "maxLength": 316 })),
        ("status", json!({ "enum": ["True", "False", "Unknown"] })),
        ("reason", json!({ "maxLength": 1024, "minLength": 1 })),
        ("message", json!({ "maxLength": 32768 })),
    ] {
        let place = conditions
            .pointer_mut(&format!("/items/properties/{field}"))
            .ok_or_else(|| BuildCrd::NoSuchPlace(format!("status.conditions[].{field}")))?;
        merge(place, bound);
    }
    Ok(())
}

/// The schema of the property at `path`, from the root of the object.
fn property<'a>(schema: &'a mut Value, path: &[&str]) -> Result<&'a mut Value, BuildCrd> {
    let pointer = path.iter().fold(String::new(), |pointer, name| pointer + "/properties/" + name);
    schema.pointer_mut(&pointer).ok_or_else(|| BuildCrd::NoSuchPlace(path.join(".")))
}

fn insert(place: &mut Value, key: &str, value: Value) {
    if let Some(map) = place.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
}

fn merge(place: &mut Value, more: Value) {
    if let (Some(map), Value::Object(more)) = (place.as_object_mut(), more) {
        map.extend::<Map<String, Value>>(more);
    }
}
