//! What a CRD's structural schema does to an object: pruning, defaulting, and the checks that need no pattern or rule.
//!
//! Patterns and CEL rules are left to [`Rules`](crate::Rules), which a test may hand in.

use serde_json::{Map, Value};

/// Fields at the root that every object has, whatever the schema says.
const ALWAYS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Takes away every field that the schema does not know.
pub(crate) fn prune(object: &mut Value, schema: &Value) {
    let (Some(fields), Some(properties)) = (object.as_object_mut(), properties(schema)) else { return };
    fields.retain(|name, _| ALWAYS.contains(&name.as_str()) || properties.contains_key(name));
    for (name, value) in fields {
        if let Some(schema) = properties.get(name).filter(|_| !ALWAYS.contains(&name.as_str())) {
            prune_below(value, schema);
        }
    }
}

fn prune_below(value: &mut Value, schema: &Value) {
    if schema.get("x-kubernetes-preserve-unknown-fields").and_then(Value::as_bool) == Some(true) {
        return;
    }
    match value {
        Value::Object(fields) => {
            if let Some(properties) = properties(schema) {
                fields.retain(|name, _| properties.contains_key(name));
            }
            for (name, value) in fields {
                if let Some(schema) = below(schema, name) {
                    prune_below(value, schema);
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return };
            for item in items {
                prune_below(item, schema);
            }
        }
        _ => {}
    }
}

/// Fills in every default of a field that is missing in an object that is there.
pub(crate) fn default(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, schema) in properties(schema).into_iter().flatten() {
                if let Some(default) = schema.get("default")
                    && fields.get(name).is_none_or(Value::is_null)
                {
                    fields.insert(name.clone(), default.clone());
                }
                if let Some(value) = fields.get_mut(name) {
                    self::default(value, schema);
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return };
            for item in items {
                default(item, schema);
            }
        }
        _ => {}
    }
}

/// What is wrong with a value: one sentence each, beginning with the path as the real server writes it.
pub(crate) fn check(value: &Value, schema: &Value, path: &str, causes: &mut Vec<String>) {
    if !has_type(value, schema) {
        let wanted = schema.get("type").and_then(Value::as_str).unwrap_or_default();
        causes.push(format!("{path}: Invalid value: must be of type {wanted}"));
        return;
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array)
        && !words.contains(value)
    {
        causes.push(format!("{path}: Unsupported value: {value}"));
    }
    check_bounds(value, schema, path, causes);
    match value {
        Value::Object(fields) => {
            for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
                let name = name.as_str().unwrap_or_default();
                if !fields.contains_key(name) {
                    causes.push(format!("{}: Required value", join(path, name)));
                }
            }
            for (name, value) in fields {
                if let Some(schema) = below(schema, name) {
                    check(value, schema, &join(path, name), causes);
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return };
            for (at, item) in items.iter().enumerate() {
                check(item, schema, &format!("{path}[{at}]"), causes);
            }
        }
        _ => {}
    }
}

fn check_bounds(value: &Value, schema: &Value, path: &str, causes: &mut Vec<String>) {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let size = |value: usize| f64::from(u32::try_from(value).unwrap_or(u32::MAX));
    let rows = match value {
        Value::String(text) => [("minLength", "maxLength", size(text.chars().count()))],
        Value::Array(items) => [("minItems", "maxItems", size(items.len()))],
        Value::Number(number) => [("minimum", "maximum", number.as_f64().unwrap_or(0.0))],
        Value::Object(fields) => [("minProperties", "maxProperties", size(fields.len()))],
        _ => return,
    };
    for (least, most, size) in rows {
        if bound(least).is_some_and(|least| size < least) || bound(most).is_some_and(|most| size > most) {
            causes.push(format!("{path}: Invalid value: {size} is outside of {least} and {most}"));
        }
    }
}

fn has_type(value: &Value, schema: &Value) -> bool {
    let nullable = schema.get("nullable").and_then(Value::as_bool) == Some(true);
    match schema.get("type").and_then(Value::as_str) {
        _ if value.is_null() => nullable,
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        _ => true,
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

fn below<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    let known = properties(schema).and_then(|properties| properties.get(name));
    known.or_else(|| schema.get("additionalProperties").filter(|schema| schema.is_object()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({"type": "object", "properties": {
            "spec": {"type": "object", "required": ["size"], "properties": {
                "size": {"type": "integer", "minimum": 1},
                "word": {"type": "string", "enum": ["a", "b"], "default": "a"},
                "labels": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 3}},
                "items": {"type": "array", "maxItems": 2, "items": {"type": "object", "properties": {
                    "on": {"type": "boolean", "default": true}
                }}}
            }}
        }})
    }

    #[test]
    fn unknown_fields_go_and_defaults_come() {
        let mut object = json!({"metadata": {"name": "x"}, "junk": 1, "spec": {
            "size": 1, "junk": {}, "labels": {"any": "ok"}, "items": [{"junk": 1}]
        }});
        prune(&mut object, &schema());
        default(&mut object, &schema());
        let expected = json!({"metadata": {"name": "x"}, "spec": {
            "size": 1, "word": "a", "labels": {"any": "ok"}, "items": [{"on": true}]
        }});
        assert_eq!(object, expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let rows = [
            (json!({"spec": {"size": 1}}), ""),
            (json!({"spec": {}}), "spec.size: Required value"),
            (json!({"spec": {"size": "1"}}), "spec.size: Invalid value: must be of type integer"),
            (json!({"spec": {"size": 0}}), "spec.size: Invalid value: 0 is outside of minimum and maximum"),
            (json!({"spec": {"size": 1, "word": "c"}}), "spec.word: Unsupported value: \"c\""),
            (
                json!({"spec": {"size": 1, "labels": {"x": "long"}}}),
                "spec.labels.x: Invalid value: 4 is outside of minLength and maxLength",
            ),
            (
                json!({"spec": {"size": 1, "items": [{}, {}, {}]}}),
                "spec.items: Invalid value: 3 is outside of minItems and maxItems",
            ),
        ];
        for (object, expected) in rows {
            let mut causes = Vec::new();
            check(&object, &schema(), "", &mut causes);
            assert_eq!(causes.join("; "), expected, "{object}");
        }
    }
}
