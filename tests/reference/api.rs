//! `docs/api-reference.md`, from the CRD: fields, limits, defaults, and the rules across fields.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{cell, is_up_to_date};

const HEAD: &str = "\
# API reference

`PaiInstance` (`pai`), group `pai.tencentcloud.io`, version `v1alpha1`, namespaced. Made from the CRD; `kubectl explain pai.spec` prints the same.
A field is optional unless it says *required*. What is immutable is refused at `kubectl apply` with a message that says so.

";

/// What a field may hold.
fn limits(schema: &Value) -> String {
    let mut words = Vec::new();
    if let Some(allowed) = schema["enum"].as_array() {
        words.push(
            allowed.iter().map(|one| format!("`{}`", one.as_str().unwrap_or_default())).collect::<Vec<_>>().join(", "),
        );
    }
    for (key, says) in [
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("minLength", "characters at least"),
        ("maxLength", "characters at most"),
        ("minItems", "items at least"),
        ("maxItems", "items at most"),
        ("maxProperties", "entries at most"),
        ("pattern", "matches"),
        ("default", "default"),
    ] {
        if let Some(value) = schema.get(key) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            words.push(format!("{says} `{value}`"));
        }
    }
    words.join("; ")
}

fn kind(schema: &Value) -> String {
    let word = schema["type"].as_str().unwrap_or("any");
    match (word, schema.pointer("/items/type").and_then(Value::as_str), schema["format"].as_str()) {
        ("array", Some(item), _) => format!("list of {item}"),
        ("object", ..) if schema.get("additionalProperties").is_some() => "map".to_owned(),
        (word, _, Some("date-time")) => format!("{word} (RFC 3339)"),
        (word, ..) => word.to_owned(),
    }
}

/// One table for an object, then those of the objects in it.
fn describe(page: &mut String, path: &str, schema: &Value) {
    let Some(fields) = schema["properties"].as_object() else { return };
    writeln!(page, "## {path}\n").unwrap();
    writeln!(page, "| field | type | limits | says |\n|---|---|---|---|").unwrap();
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in fields {
        let says = cell(field["description"].as_str().unwrap_or_default());
        let needed = if required.contains(&name.as_str()) { "*required* " } else { "" };
        writeln!(page, "| `{name}` | {} | {} | {needed}{says} |", kind(field), cell(&limits(field))).unwrap();
    }
    page.push('\n');
    // What stands on a field that has no table of its own stands below the one in which it is.
    let leaves = fields.values().filter(|field| field["properties"].is_null());
    let rules = std::iter::once(schema).chain(leaves).filter_map(|place| place["x-kubernetes-validations"].as_array());
    let rules: Vec<&Value> = rules.flatten().collect();
    for rule in &rules {
        let message = rule["message"].as_str().or(rule["messageExpression"].as_str()).unwrap_or_default();
        writeln!(page, "- {}", cell(message)).unwrap();
    }
    if !rules.is_empty() {
        page.push('\n');
    }
    for (name, field) in fields {
        let below = format!("{path}.{name}");
        describe(page, &below, field);
        describe(page, &format!("{below}[]"), &field["items"]);
    }
}

#[test]
fn the_page_lists_every_field() {
    let crd: Value = serde_saphyr::from_str(&pai_operator::api::crd::yaml().unwrap()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let mut page = HEAD.to_owned();
    for part in ["spec", "status"] {
        let before = page.len();
        describe(&mut page, part, &schema[part]);
        assert!(page.len() > before + 1000, "{part} has no fields");
    }
    is_up_to_date("docs/api-reference.md", format!("{}\n", page.trim_end()).as_str());
}
