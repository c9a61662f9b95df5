//! One row of a table: a name, what is sent, and the exact answer that must come. Knows no server.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::server::Answer;

/// A change of the smallest spec, and what the server must say to the result.
pub struct Row {
    /// Unique in its table.
    pub name: &'static str,
    /// Paths in the spec with their new values; a path that begins with `-` takes the field away.
    pub edits: Vec<(&'static str, Value)>,
    /// Fields that must be refused, each with a part of the message; none means accepted.
    pub refused: Vec<(&'static str, &'static str)>,
}

/// Rows in the form `"name": "path" = value, ... => ok;` or `=> "field" "words", ...;`.
macro_rules! rows {
    ($($name:literal: $($path:literal = $value:tt),* => $($expected:tt),*;)*) => {
        vec![$($crate::row::Row {
            name: $name,
            edits: vec![$(($path, serde_json::json!($value))),*],
            refused: $crate::row::expected!($($expected),*),
        }),*]
    };
}

/// What a row expects: `ok`, or `("field" "words")` for each fault.
macro_rules! expected {
    (ok) => { vec![] };
    ($(($field:literal $words:literal)),+) => { vec![$(($field, $words)),+] };
}

pub(crate) use {expected, rows};

/// The smallest object that the server takes: the required fields alone.
pub fn smallest(name: &str) -> Value {
    json!({
        "apiVersion": "pai.tencentcloud.io/v1alpha1",
        "kind": "PaiInstance",
        "metadata": { "name": name, "namespace": "default" },
        "spec": {
            "region": "ap-guangzhou",
            "credentialsRef": { "name": "cloud" },
            "domainName": "apple.pai.tcloudbase.com",
            "internetAccessible": {},
        },
    })
}

/// The smallest object with the edits of a row.
pub fn object_of(row: &Row) -> Value {
    let mut object = smallest("row");
    for (path, value) in &row.edits {
        edit(&mut object["spec"], path, value);
    }
    object
}

fn edit(spec: &mut Value, path: &str, value: &Value) {
    let gone = path.strip_prefix('-');
    let mut place = spec;
    let names: Vec<&str> = gone.unwrap_or(path).split('.').collect();
    let (last, parents) = names.split_last().unwrap();
    for name in parents {
        place = &mut place[*name];
    }
    if gone.is_some() {
        let old = place.as_object_mut().unwrap().remove(*last);
        assert!(old.is_some(), "{path}: there is nothing to take away");
    } else {
        place[*last] = value.clone();
    }
}

/// Whether the answer is the expected one: all named faults and no other. The error says what differs.
pub fn check(answer: &Answer, refused: &[(&str, &str)]) -> Result<(), String> {
    let causes = match answer {
        Answer::Accepted(_) if refused.is_empty() => return Ok(()),
        Answer::Accepted(_) => return Err(format!("accepted instead of refused for {refused:?}")),
        Answer::Refused(causes) => causes,
    };
    let names_it =
        |cause: &(String, String), (field, words): &(&str, &str)| cause.0 == *field && cause.1.contains(words);
    let missing: Vec<_> =
        refused.iter().filter(|expected| !causes.iter().any(|cause| names_it(cause, expected))).collect();
    let surplus: Vec<_> =
        causes.iter().filter(|cause| !refused.iter().any(|expected| names_it(cause, expected))).collect();
    if missing.is_empty() && surplus.is_empty() {
        return Ok(());
    }
    Err(format!("missing {missing:?}, surplus {surplus:?}"))
}

/// Ends a table: fails with every row that went wrong, after the count of distinct rows.
pub fn report(table: &str, names: &[String], at_least: usize, wrong: &[String]) {
    let distinct: BTreeSet<&String> = names.iter().collect();
    println!("{table}: {} rows, {} wrong", names.len(), wrong.len());
    assert_eq!(distinct.len(), names.len(), "{table}: two rows have the same name");
    assert!(names.len() >= at_least, "{table}: only {} rows", names.len());
    assert!(wrong.is_empty(), "{table}:\n{}", wrong.join("\n"));
}
