//! A row of the table: requests in their order, what each is answered, and what a watch shows. Read from YAML; see `rows/`.
//!
//! Strings may name variables (`$rv`), which a row saves from replies. An expectation names the fields that matter and no others;
//! `<any>` stands for every value, `<none>` for a field that must be missing, `<empty>` for a missing or empty one,
//! `<not x>` for any other value than `x`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// A row.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What is shown, as a sentence.
    pub name: String,
    /// What is done, in this order.
    pub steps: Vec<Step>,
}

/// One step: a request, a watch that begins, events of that watch, or the loss of the history.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    /// Method and path of a request.
    pub send: Option<String>,
    /// Path of a watch that begins; it takes the place of an earlier one.
    pub watch: Option<String>,
    /// The next events of the watch, each under its type.
    pub events: Vec<BTreeMap<String, Value>>,
    /// The watch ends here.
    pub ended: bool,
    /// The server forgets its history and the versions in it.
    pub forget: bool,
    /// The variable with the object into which `body` is merged.
    pub base: Option<String>,
    /// Body of the request.
    pub body: Value,
    /// Another content type than the usual one of the method.
    pub content_type: Option<String>,
    /// Asks for the metadata alone, of an `object` or of a `list`.
    pub only_metadata: Option<String>,
    /// HTTP status of the reply.
    pub status: u16,
    /// Fields of the reply.
    pub reply: Value,
    /// Repeats the request until the reply is as expected: for what a real server does in the background.
    pub until: bool,
    /// Variables to save: name, and JSON pointer into the reply or the list of events.
    pub save: BTreeMap<String, String>,
}

/// The variables of a row, longest name first, so that `$rv` does not stand in the way of `$rv2`.
#[derive(Debug, Default)]
pub struct Variables(Vec<(String, Value)>);

impl Variables {
    /// Saves a value under a name.
    pub fn set(&mut self, name: &str, value: Value) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value));
        self.0.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    }

    /// The text with every variable replaced.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.0 {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text = text.replace(&format!("${name}"), &value);
        }
        assert!(!text.contains('$'), "a variable is not known: {text}");
        text
    }

    /// The value with every variable replaced; a string that is nothing but a variable becomes its value.
    pub fn fill(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => {
                let whole = self.0.iter().find(|(name, _)| text.strip_prefix('$') == Some(name));
                whole.map_or_else(|| self.text(text).into(), |(_, value)| value.clone())
            }
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (self.text(name), self.fill(value))).collect::<Map<_, _>>().into()
            }
            other => other.clone(),
        }
    }
}

/// Where a value is not as expected, one sentence each.
pub fn differences(expected: &Value, actual: Option<&Value>, path: &str) -> Vec<String> {
    let differs = |seen: Option<&Value>| {
        let seen = seen.map_or_else(|| "nothing".to_owned(), Value::to_string);
        vec![format!("{path}: expected {expected}, got {seen}")]
    };
    match (expected, actual) {
        (Value::String(word), None) if word == "<none>" => Vec::new(),
        (Value::String(word), actual) if word == "<empty>" && actual.is_none_or(|actual| actual == "") => Vec::new(),
        (Value::String(word), Some(_)) if word == "<any>" => Vec::new(),
        (Value::String(word), Some(actual)) if word.starts_with("<not ") => {
            let other = word.trim_start_matches("<not ").trim_end_matches('>');
            if actual.as_str() == Some(other) { differs(Some(actual)) } else { Vec::new() }
        }
        (Value::Object(expected), Some(Value::Object(actual))) => expected
            .iter()
            .flat_map(|(name, expected)| differences(expected, actual.get(name), &format!("{path}/{name}")))
            .collect(),
        (Value::Array(expected), Some(Value::Array(actual))) if expected.len() == actual.len() => expected
            .iter()
            .zip(actual)
            .enumerate()
            .flat_map(|(at, (expected, actual))| differences(expected, Some(actual), &format!("{path}/{at}")))
            .collect(),
        (expected, Some(actual)) if expected == actual => Vec::new(),
        (_, actual) => differs(actual),
    }
}

/// The object with the changes merged in: null removes a field.
pub fn merged(mut object: Value, changes: &Value) -> Value {
    let (Some(fields), Some(changes)) = (object.as_object_mut(), changes.as_object()) else { return changes.clone() };
    for (name, change) in changes {
        match (fields.remove(name), change) {
            (_, Value::Null) => {}
            (Some(old @ Value::Object(_)), Value::Object(_)) => {
                fields.insert(name.clone(), merged(old, change));
            }
            _ => {
                fields.insert(name.clone(), change.clone());
            }
        }
    }
    object
}
