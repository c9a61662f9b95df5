//! `docs/values.md` and the chart's README, from the comments in `values.yaml`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use crate::{cell, is_up_to_date, read, root};

const HEAD: &str = "\
# Values of the chart

A key that is not listed is refused by `values.schema.json`. What the operator does with each is tested by rendering it.

| value | default | says |
|---|---|---|
";

/// The comments that begin with `# -- `, by the path of the key below them, in the order of the file.
fn comments(text: &str) -> Vec<(String, String)> {
    let (mut found, mut said, mut path) = (Vec::new(), String::new(), Vec::<(usize, String)>::new());
    for line in text.lines() {
        let bare = line.trim_start();
        if let Some(begin) = bare.strip_prefix("# -- ") {
            begin.clone_into(&mut said);
        } else if let Some(more) = bare.strip_prefix("# ").filter(|_| !said.is_empty()) {
            said = format!("{said} {more}");
        } else if let Some((key, _)) = bare.split_once(':').filter(|_| !bare.starts_with(['#', '-'])) {
            let indent = line.len() - bare.len();
            path.retain(|(at, _)| *at < indent);
            path.push((indent, key.to_owned()));
            let name = path.iter().map(|(_, key)| key.as_str()).collect::<Vec<_>>().join(".");
            found.push((name, std::mem::take(&mut said)));
        }
    }
    found
}

/// The page: each documented key with its default. A map that is documented as a whole is one row.
fn page(text: &str) -> String {
    let values: Value = serde_saphyr::from_str(text).unwrap();
    let mut page = HEAD.to_owned();
    for (name, says) in comments(text).into_iter().filter(|(_, says)| !says.is_empty()) {
        let value = values.pointer(&format!("/{}", name.replace('.', "/"))).unwrap_or_else(|| panic!("{name}"));
        let default = serde_json::to_string(value).unwrap();
        writeln!(page, "| `{name}` | `{}` | {} |", cell(&default), cell(&says)).unwrap();
    }
    page
}

#[test]
fn the_page_lists_every_value() {
    let text = read(&root().join("charts/pai-operator/values.yaml"));
    let page = page(&text);
    is_up_to_date("docs/values.md", &page);
    let readme = "# pai-operator\n\nA Kubernetes operator that turns a `PaiInstance` into a PAI instance of Tencent Cloud, exactly once. Installed, upgraded and\n\
        removed as `NOTES.txt` says; the order of removal matters: PaiInstances, release, CRD.\n\n";
    let readme = format!("{readme}{}", page.replacen("# Values of the chart", "## Values", 1));
    is_up_to_date("charts/pai-operator/README.md", &readme);
}

#[test]
fn every_value_is_explained() {
    let text = read(&root().join("charts/pai-operator/values.yaml"));
    let said: BTreeMap<String, String> = comments(&text).into_iter().collect();
    let mut silent = Vec::new();
    for name in said.keys() {
        let mut up = name.as_str();
        let mut explained = !said[up].is_empty();
        while let Some((above, _)) = up.rsplit_once('.') {
            up = above;
            explained |= !said[up].is_empty();
        }
        let has_children = said.keys().any(|other| other.starts_with(&format!("{name}.")));
        if !explained && !has_children {
            silent.push(name);
        }
    }
    assert!(silent.is_empty(), "no comment `# -- ` above {silent:?}");
}

#[test]
fn comments_are_found_by_the_path_of_their_key() {
    let found = comments("a:\n  # -- One\n  # two.\n  b: 1\n# no\nc: 2\n");
    let found: Vec<(&str, &str)> = found.iter().map(|(name, says)| (name.as_str(), says.as_str())).collect();
    assert_eq!(found, [("a", ""), ("a.b", "One two."), ("c", "")]);
}
