//! The generated CRD without a server: the committed files are what the code gives, and the schema is
//! bounded, described and addressable everywhere. `UPDATE=1` rewrites the files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected shall end there and say where"
)]

use std::fs;
use std::path::Path;

use pai_operator::api::crd;
use serde_json::{Value, json};

/// Every committed copy of the CRD: for `kubectl apply`, and for the chart.
const COPIES: [&str; 2] = [
    "crds/pai.tencentcloud.io_paiinstances.yaml",
    "charts/pai-operator/files/crds/pai.tencentcloud.io_paiinstances.yaml",
];

/// Integers without bounds of their own: Kubernetes or the operator counts them, nobody types them.
const COUNTERS: [&str; 3] =
    ["status.observedGeneration", "status.conditions[].observedGeneration", "status.createAttempt.ordinal"];

#[test]
fn the_committed_files_are_what_the_code_gives() {
    let generated = crd::yaml().unwrap();
    for copy in COPIES {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(copy);
        if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
            fs::write(&file, &generated).unwrap_or_else(|error| panic!("{copy}: {error}"));
        }
        let committed = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{copy}: {error}"));
        assert!(
            committed == generated,
            "{copy} is not what src/api gives: run `UPDATE=1 cargo test --test crd` and commit the file"
        );
    }
}

#[test]
fn no_value_is_nullable_or_shapeless() {
    for (path, schema) in values() {
        for word in [
            "nullable",
            "additionalProperties",
            "x-kubernetes-preserve-unknown-fields",
            "x-kubernetes-int-or-string",
            "x-kubernetes-embedded-resource",
            "oneOf",
            "anyOf",
        ] {
            assert!(schema.get(word).is_none(), "{path} has {word}");
        }
        let kind = schema["type"].as_str().unwrap_or_default();
        let known = ["object", "array", "string", "integer", "boolean"];
        assert!(known.contains(&kind), "{path} is of type {kind:?}");
        if kind == "object" {
            assert!(schema["properties"].is_object(), "{path} names no properties");
        }
        let words = schema["enum"].as_array().cloned().unwrap_or_default();
        assert!(words.iter().all(Value::is_string), "{path} has an enum of {words:?}");
    }
}

#[test]
fn every_list_says_how_it_is_merged() {
    let merged: Vec<(String, Value, Value)> = values()
        .into_iter()
        .filter(|(_, schema)| schema["type"] == "array")
        .map(|(path, schema)| {
            let keys = schema["x-kubernetes-list-map-keys"].clone();
            (path, schema["x-kubernetes-list-type"].clone(), keys)
        })
        .collect();
    for (path, kind, keys) in &merged {
        let expected = match path.as_str() {
            "status.conditions" => (json!("map"), json!(["type"])),
            "status.instances" => (json!("map"), json!(["id"])),
            _ => (json!("atomic"), Value::Null),
        };
        assert_eq!((kind.clone(), keys.clone()), expected, "{path}");
    }
    assert_eq!(merged.len(), 11, "{merged:?}");
}

#[test]
fn every_value_is_bounded() {
    let mut counters = Vec::new();
    for (path, schema) in values() {
        let has = |word: &str| schema.get(word).is_some();
        match schema["type"].as_str().unwrap() {
            "string" => {
                // An enum bounds itself; the API server takes only a date for a date-time.
                let bounded = has("maxLength") || has("enum") || schema["format"] == "date-time";
                assert!(bounded, "the string {path} has no bound");
            }
            "array" => assert!(has("maxItems"), "the list {path} has no bound"),
            "integer" if COUNTERS.contains(&path.as_str()) => counters.push(path),
            "integer" => assert!(has("minimum") && has("maximum"), "the number {path} is not bounded on both sides"),
            _ => {}
        }
    }
    counters.sort();
    let mut named = COUNTERS;
    named.sort_unstable();
    assert_eq!(counters, named, "an exception is named that is none");
}

#[test]
fn every_field_is_described() {
    for (path, schema) in values() {
        if path.ends_with("[]") && schema["type"] != "object" {
            continue; // `kubectl explain` shows the list's own text
        }
        let text = schema["description"].as_str().unwrap_or_default();
        assert!(text.ends_with('.'), "{path} is described as {text:?}");
        let broken = text.split("\n\n").any(|paragraph| paragraph.contains('\n'));
        assert!(!broken, "{path}: kubectl breaks the lines itself, the text must not: {text:?}");
    }
}

#[test]
fn every_default_is_the_documented_one() {
    let defaults: Vec<(String, Value)> =
        values().into_iter().filter_map(|(path, schema)| Some((path, schema.get("default")?.clone()))).collect();
    let expected = [
        ("spec.instanceChargePrepaid.renewFlag", json!("NOTIFY_AND_MANUAL_RENEW")),
        ("spec.instanceChargeType", json!("POSTPAID_BY_HOUR")),
        ("status", json!({ "observedGeneration": -1 })),
    ]
    .map(|(path, value)| (path.to_owned(), value));
    assert_eq!(defaults, expected);
}

#[test]
fn every_rule_names_its_field_and_tells_what_must_be() {
    let mut count = 0;
    for (path, schema) in values() {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let field = rule["fieldPath"].as_str().unwrap_or_default();
            let named = format!("{path}{field}");
            let named = named.trim_start_matches('.');
            let message = rule["message"].as_str().unwrap();
            assert!(message.starts_with(&format!("{named} must ")), "{named}: {message:?}");
            count += 1;
        }
    }
    assert!(count >= 25, "only {count} rules: is the walk complete?");
}

#[test]
fn names_and_subresources() {
    let crd = crd_as_json();
    assert_eq!(crd["metadata"]["name"], crd::CRD_NAME);
    assert_eq!(crd["spec"]["scope"], "Namespaced");
    assert_eq!(
        crd["spec"]["names"],
        json!({
            "kind": "PaiInstance",
            "plural": "paiinstances",
            "singular": "paiinstance",
            "shortNames": ["pai"],
            "categories": ["tencentcloud"],
        })
    );
    let versions = crd["spec"]["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 1);
    let version = &versions[0];
    assert_eq!(version["name"], "v1alpha1");
    assert_eq!((&version["served"], &version["storage"]), (&json!(true), &json!(true)));
    assert_eq!(version["subresources"], json!({ "status": {} }));
    assert_eq!(
        version["selectableFields"],
        json!([{ "jsonPath": ".spec.region" }, { "jsonPath": ".spec.domainName" }])
    );
}

#[test]
fn the_columns_of_kubectl_get() {
    let crd = crd_as_json();
    let columns: Vec<(&str, i64)> = crd["spec"]["versions"][0]["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| {
            assert!(column["description"].is_string(), "{column}");
            (column["name"].as_str().unwrap(), column["priority"].as_i64().unwrap())
        })
        .collect();
    let expected = [
        ("Ready", 0),
        ("Reason", 0),
        ("State", 0),
        ("Instance", 0),
        ("Domain", 0),
        ("Region", 1),
        ("Type", 1),
        ("Address", 1),
        ("Message", 1),
        ("Age", 0),
    ];
    assert_eq!(columns, expected);
}

fn crd_as_json() -> Value {
    serde_json::to_value(crd::crd().unwrap()).unwrap()
}

/// Every value of the schema with its path, `spec.zones[]` for the entries of a list; the root's path is empty.
fn values() -> Vec<(String, Value)> {
    let crd = crd_as_json();
    let mut found = Vec::new();
    walk(String::new(), &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut found);
    assert!(found.len() > 60, "the walk found only {} values", found.len());
    found
}

fn walk(path: String, schema: &Value, found: &mut Vec<(String, Value)>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let deeper = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        walk(deeper, property, found);
    }
    if let Some(items) = schema.get("items") {
        walk(format!("{path}[]"), items, found);
    }
    found.push((path, schema.clone()));
}
