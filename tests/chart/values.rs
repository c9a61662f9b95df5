//! A case for each key of `values.yaml`: what it changes in the rendered objects.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::cases::Check::{self, Arg, Count, Is, NoArg};
use crate::cases::rows;
use crate::rendered::{chart, of_kind, render, text_of};

fn holds(objects: &[Value], check: &Check) -> Result<(), String> {
    let args = |objects: &[Value]| -> Vec<String> {
        let deployments = of_kind(objects, "Deployment");
        let list = deployments[0].pointer("/spec/template/spec/containers/0/args");
        let list = list.and_then(Value::as_array).unwrap();
        list.iter().map(|arg| arg.as_str().unwrap().to_owned()).collect()
    };
    match check {
        Is(kind, pointer, expected) => {
            let found = of_kind(objects, kind);
            let object = found.first().ok_or_else(|| format!("no {kind}"))?;
            let value = object.pointer(pointer).cloned().unwrap_or(Value::Null);
            (value == *expected).then_some(()).ok_or_else(|| format!("{kind}{pointer} is {value}"))
        }
        Arg(arg) => {
            let args = args(objects);
            args.iter().any(|found| found == arg).then_some(()).ok_or_else(|| format!("{args:?}"))
        }
        NoArg(start) => {
            let args = args(objects);
            let found = args.iter().find(|arg| arg.starts_with(start));
            found.map_or(Ok(()), |arg| Err(format!("has {arg}")))
        }
        Count(kind, expected) => {
            let count = of_kind(objects, kind).len();
            (count == *expected).then_some(()).ok_or_else(|| format!("{count} of {kind}"))
        }
    }
}

#[test]
fn each_value_does_what_it_says() {
    let mut failures = Vec::new();
    for (key, values, check) in rows() {
        let result = render(&values).and_then(|objects| holds(&objects, &check));
        if let Err(why) = result {
            failures.push(format!("{key} with {values}: {why}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn each_key_of_the_values_has_a_case() {
    let text = fs::read_to_string(chart().join("values.yaml")).unwrap();
    let values: Value = serde_saphyr::from_str(&text).unwrap();
    let mut keys = BTreeSet::new();
    collect(&values, "", &mut keys);
    let covered: BTreeSet<&str> = rows().iter().map(|(key, ..)| *key).collect();
    let missing: Vec<_> = keys
        .iter()
        .filter(|key| !covered.iter().any(|row| *key == row || key.starts_with(&format!("{row}."))))
        .collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}

fn collect(value: &Value, path: &str, keys: &mut BTreeSet<String>) {
    match value.as_object() {
        Some(map) if !map.is_empty() => {
            for (key, value) in map {
                let dot = if path.is_empty() { "" } else { "." };
                collect(value, &format!("{path}{dot}{key}"), keys);
            }
        }
        _ => {
            keys.insert(path.to_owned());
        }
    }
}

/// Where a schema lets keys through that it does not name, although it names some.
fn open_parts(schema: &Value, path: &str) -> Vec<String> {
    let below = |key: String, part: &Value| open_parts(part, &format!("{path}/{key}"));
    let mut open: Vec<String> = match schema {
        Value::Object(parts) => parts.iter().flat_map(|(key, part)| below(key.clone(), part)).collect(),
        Value::Array(parts) => parts.iter().enumerate().flat_map(|(nth, part)| below(nth.to_string(), part)).collect(),
        _ => Vec::new(),
    };
    let names_keys = schema.get("properties").is_some_and(|named| named.get("type").is_none_or(Value::is_object));
    if names_keys && schema.get("additionalProperties") != Some(&json!(false)) {
        open.push(path.to_owned());
    }
    open
}

#[test]
fn a_key_that_the_schema_does_not_name_is_refused_everywhere() {
    let text = fs::read_to_string(chart().join("values.schema.json")).unwrap();
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(open_parts(&schema, ""), Vec::<String>::new());
    schema["properties"]["image"].as_object_mut().unwrap().remove("additionalProperties");
    assert_eq!(open_parts(&schema, ""), ["/properties/image"]);
}

#[test]
fn a_mistake_is_refused_and_the_message_names_the_value() {
    let table = [
        (json!({"replicas": 2}), "replicas"),
        (json!({"references": {"secretName": "x"}}), "secretName"),
        (json!({"image": {"repository": ""}}), "repository"),
        (json!({"log": {"format": "xml"}}), "format"),
        (json!({"terminationGracePeriodSeconds": 5}), "terminationGracePeriodSeconds"),
        (
            json!({"tencentcloud": {"endpoints": {"as": "http://a"}}}),
            "tencentcloud.endpoints.as must begin with https://",
        ),
        (
            json!({"watch": {"namespaces": ["a"]}, "references": {"clusterWide": true}}),
            "references.clusterWide must be false",
        ),
        (json!({"serviceMonitor": {"enabled": true}, "metrics": {"enabled": false}}), "metrics.enabled must be true"),
        (json!({"metrics": {"secure": {"enabled": true}}}), "metrics.secure.certSecret must name a Secret"),
        (
            json!({"metrics": {"secure": {"enabled": true, "certSecret": "c"}}, "podMonitor": {"enabled": true}}),
            "a PodMonitor cannot show the token",
        ),
        (json!({"tencentcloud": {"rateLimit": {"StopInstances": 1}}}), "rateLimit"),
        (json!({"podDisruptionBudget": {"enabled": true}}), "replicaCount must be 2 or more"),
    ];
    for (values, expected) in table {
        let message = render(&values).expect_err(&values.to_string());
        assert!(message.contains(expected), "{values}: {message}");
    }
}

#[test]
fn the_pod_is_locked_down_and_can_finish_a_purchase() {
    let objects = render(&json!({})).unwrap();
    let deployment = of_kind(&objects, "Deployment")[0];
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], json!(false));
    let account = of_kind(&objects, "ServiceAccount")[0];
    assert_eq!(account["automountServiceAccountToken"], json!(false));
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > 30);
    let container = &pod["containers"][0];
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], json!(true));
    assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
    assert_eq!(text_of(container, "/livenessProbe/httpGet/path"), "/livez");
    assert_eq!(text_of(container, "/readinessProbe/httpGet/path"), "/readyz");
}

/// Names of Services, and label values, have at most 63 characters.
#[test]
fn no_name_is_longer_than_the_api_server_takes() {
    let long = "x".repeat(80);
    let objects =
        render(&json!({"fullnameOverride": long, "nameOverride": long, "serviceMonitor": {"enabled": true}})).unwrap();
    let service = of_kind(&objects, "Service")[0];
    let name = text_of(service, "/metadata/name");
    assert!(name.len() <= 63 && name.ends_with("-metrics"), "{name}");
    for object in &objects {
        for (label, value) in object["metadata"]["labels"].as_object().unwrap() {
            assert!(value.as_str().unwrap().len() <= 63, "{label}: {value}");
        }
    }
}
