//! Runs rows on a side and says where it differs from the table.

use pai_harness::wait_until;
use pai_operator::api::crd;
use serde_json::{Value, json};

use crate::row::{Row, Step, Variables, differences, merged};
use crate::side::{Call, Side};

/// Where our objects are.
pub const PAI: &str = "/apis/pai.tencentcloud.io/v1alpha1";
const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Installs the operator's CRD and waits until it is served.
pub fn install(side: &mut dyn Side) {
    let definition: Value = serde_saphyr::from_str(&crd::yaml().unwrap()).unwrap();
    let call = call("POST", CRDS, definition);
    let (status, reply) = side.send(&call);
    assert_eq!(status, 201, "{reply}");
    wait_until("the CRD to be served", side.patience(), || {
        let (status, reply) = side.send(&self::call("GET", &format!("{PAI}/paiinstances"), Value::Null));
        if status == 200 { Ok(()) } else { Err(reply.to_string()) }
    })
    .unwrap();
}

/// Runs all rows; returns the ones that failed, each with the step and the side.
pub fn failures(rows: &[Row], side: &mut dyn Side, side_name: &str) -> Vec<String> {
    let mut failed = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let mut variables = variables(&format!("row-{at}"));
        let namespace = json!({"metadata": {"name": format!("row-{at}")}});
        let (status, reply) = side.send(&call("POST", "/api/v1/namespaces", namespace));
        assert_eq!(status, 201, "{reply}");
        for (number, step) in row.steps.iter().enumerate() {
            if let Err(difference) = run(step, side, &mut variables) {
                let what = step.send.as_deref().or(step.watch.as_deref()).unwrap_or("events");
                failed.push(format!("{side_name}: {}: step {} ({what}): {difference}", row.name, number + 1));
                break;
            }
        }
    }
    failed
}

/// What every row may name: its namespace, paths, and objects that are valid as they are.
fn variables(namespace: &str) -> Variables {
    let mut variables = Variables::default();
    let group = format!("{namespace}.example.com");
    variables.set("ns", namespace.into());
    variables.set("allpai", format!("{PAI}/paiinstances").into());
    variables.set("pai", format!("{PAI}/namespaces/{namespace}/paiinstances").into());
    variables.set("a", instance());
    variables.set("core", format!("/api/v1/namespaces/{namespace}").into());
    variables.set("leases", format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases").into());
    variables.set("notices", format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events").into());
    variables.set("crds", CRDS.into());
    variables.set("crd", definition(&group));
    variables.set("things", format!("/apis/{group}/v1/namespaces/{namespace}/things").into());
    let thing = json!({"apiVersion": format!("{group}/v1"), "kind": "Thing", "metadata": {"name": "a"}});
    variables.set("thing", thing);
    variables
}

fn instance() -> Value {
    json!({
        "apiVersion": "pai.tencentcloud.io/v1alpha1",
        "kind": "PaiInstance",
        "metadata": {"name": "a"},
        "spec": {
            "region": "ap-guangzhou",
            "credentialsRef": {"name": "credentials"},
            "domainName": "apple-gz012345.pai.tcloudbase.com",
            "internetAccessible": {"internetMaxBandwidthOut": 10}
        }
    })
}

/// A small CRD of the row's own.
fn definition(group: &str) -> Value {
    let text = json!({"type": "string"});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("things.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Thing", "listKind": "ThingList", "plural": "things", "singular": "thing"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"size": text, "old": text}},
                    "status": {"type": "object", "properties": {"word": text, "new": text}}
                }}}
            }]
        }
    })
}

fn run(step: &Step, side: &mut dyn Side, variables: &mut Variables) -> Result<(), String> {
    if step.forget {
        side.forget();
    }
    let mut seen = Value::Null;
    if let Some(line) = &step.send {
        let call = filled(step, line, variables);
        seen = answered(step, side, variables, |side| side.send(&call))?;
    }
    if let Some(path) = &step.watch {
        let call = filled(step, &format!("GET {path}"), variables);
        answered(step, side, variables, |side| side.watch(&call))?;
    }
    if !step.events.is_empty() {
        seen = events(step, side, variables)?.into();
    }
    if step.ended {
        side.ended()?;
    }
    for (name, pointer) in &step.save {
        let value = seen.pointer(pointer).ok_or_else(|| format!("there is no {pointer} to save in {seen}"))?;
        variables.set(name, value.clone());
    }
    Ok(())
}

fn answered(
    step: &Step,
    side: &mut dyn Side,
    variables: &Variables,
    ask: impl Fn(&mut dyn Side) -> (u16, Value),
) -> Result<Value, String> {
    let patience = side.patience();
    let mut attempt = || {
        let (status, reply) = ask(side);
        judge(step, variables, status, &reply).map(|()| reply)
    };
    if step.until { wait_until("the reply", patience, attempt).map_err(|error| error.to_string()) } else { attempt() }
}

fn events(step: &Step, side: &mut dyn Side, variables: &Variables) -> Result<Vec<Value>, String> {
    let mut seen = Vec::new();
    for (at, expected) in step.events.iter().enumerate() {
        let (word, object) = expected.first_key_value().ok_or("an event without a type")?;
        let event = side.event(word).map_err(|error| format!("event {at}: {error}"))?;
        let expected = json!({"type": word, "object": variables.fill(object)});
        said(&differences(&expected, Some(&event), &format!("event {at}")), &event)?;
        seen.push(event);
    }
    Ok(seen)
}

fn judge(step: &Step, variables: &Variables, status: u16, reply: &Value) -> Result<(), String> {
    let mut found = Vec::new();
    if status != step.status {
        found.push(format!("expected HTTP status {}, got {status}", step.status));
    }
    if !step.reply.is_null() {
        found.extend(differences(&variables.fill(&step.reply), Some(reply), ""));
    }
    said(&found, reply)
}

fn said(found: &[String], whole: &Value) -> Result<(), String> {
    if found.is_empty() { Ok(()) } else { Err(format!("{}\n    of {whole}", found.join("; "))) }
}

fn filled(step: &Step, line: &str, variables: &Variables) -> Call {
    let line = variables.text(line);
    let (method, path) = line.split_once(' ').unwrap_or_else(|| panic!("method and path are expected: {line}"));
    let mut body = variables.fill(&step.body);
    if let Some(base) = &step.base {
        let base = variables.fill(&base.as_str().into());
        body = if body.is_null() { base } else { merged(base, &body) };
    }
    let mut call = call(method, path, body);
    call.only_metadata.clone_from(&step.only_metadata);
    if let Some(content_type) = &step.content_type {
        call.content_type.clone_from(content_type);
    }
    call
}

/// A request with a JSON body, or none.
pub fn call(method: &str, path: &str, body: Value) -> Call {
    let content_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    Call {
        method: method.to_owned(),
        path: path.to_owned(),
        content_type: content_type.to_owned(),
        only_metadata: None,
        body,
    }
}
