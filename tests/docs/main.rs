//! The documents: a runbook page for each reason in which a person must act, links that lead somewhere, YAML that the CRD knows, commands
//! and names that exist.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic; clippy exempts the test functions alone, not what they share"
)]

mod commands;
mod words;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pai_operator::api::{PaiInstance, Reason};
use pai_operator::tencent::Action;
use serde_json::Value;

/// The headings of every runbook page, in this order.
const HEADINGS: &[&str] =
    &["What you see", "Why", "What it costs meanwhile", "What to do", "What happens then", "When it does not help"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn add_markdown_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_markdown_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// Every document that users and contributors read.
fn documents() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    add_markdown_below(&root().join("docs"), &mut found);
    assert!(found.len() > 3, "{found:?}");
    found
}

/// The parts of a document: whether it is a fenced block, its language, its text.
fn parts(text: &str) -> impl Iterator<Item = (bool, &str, &str)> {
    text.split("```").enumerate().map(|(at, part)| {
        let fenced = at % 2 == 1;
        let (language, body) = if fenced { part.split_once('\n').unwrap_or((part, "")) } else { ("", part) };
        (fenced, language, body)
    })
}

fn pages() -> BTreeSet<String> {
    let mut files = Vec::new();
    add_markdown_below(&root().join("docs/runbooks"), &mut files);
    let names = files.iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    names.filter(|name| name != "README").collect()
}

#[test]
fn each_reason_in_which_a_person_must_act_has_a_runbook() {
    let known: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    let pages = pages();
    // OutcomeUnknown needs a person once its attempt is held.
    for reason in Reason::ALL.iter().filter(|reason| reason.needs_a_person() || **reason == Reason::OutcomeUnknown) {
        assert!(pages.contains(reason.as_str()), "docs/runbooks/{}.md is missing", reason.as_str());
    }
    for page in &pages {
        assert!(known.contains(page.as_str()), "docs/runbooks/{page}.md is about no reason of the code");
    }
    let index = read(&root().join("docs/runbooks/README.md"));
    let rows: Vec<&str> = index.lines().filter_map(|line| line.strip_prefix("| [")?.split("](").next()).collect();
    assert_eq!(rows.iter().map(|row| (*row).to_owned()).collect::<BTreeSet<_>>(), pages);
    for row in rows {
        assert!(index.contains(&format!("| [{row}]({row}.md) |")), "{row} leads to another page");
    }
}

#[test]
fn each_runbook_has_the_same_form() {
    for page in pages() {
        let text = read(&root().join(format!("docs/runbooks/{page}.md")));
        assert!(text.starts_with(&format!("# {page}\n")), "{page}");
        let headings: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, HEADINGS, "{page}");
        assert!(text.contains("kubectl "), "{page} holds no command");
        assert!(text.lines().any(|line| line.starts_with("Tried by ")), "{page} does not say what was tried");
    }
}

#[test]
fn the_policy_for_the_key_allows_what_is_called_and_nothing_else() {
    let text = read(&root().join("docs/credentials.md"));
    let (.., block) = parts(&text).find(|(_, language, _)| *language == "json").unwrap();
    let policy: Value = serde_json::from_str(block).unwrap();
    let allowed: Vec<&str> =
        policy["statement"][0]["action"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(allowed, Action::CALLED.map(|action| format!("{}:{action}", action.service())));
}

/// The relative links of a text's prose; a pattern in code may look like one.
fn links(text: &str) -> Vec<String> {
    let prose = parts(text).filter(|(fenced, _, _)| !fenced);
    let plain = prose.map(|(_, _, prose)| prose.split('`').step_by(2).collect::<String>()).collect::<String>();
    let links = plain.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    links.filter(|link| !link.contains("://")).map(str::to_owned).collect()
}

/// The anchors of a page's headings, as the forges make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let prose = parts(text).filter(|(fenced, _, _)| !fenced);
    let headings = prose.flat_map(|(_, _, prose)| prose.lines().filter(|line| line.starts_with('#')));
    let anchor = |line: &str| -> String {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|one| one.is_alphanumeric() || matches!(one, ' ' | '-' | '_'));
        kept.map(|one| if one == ' ' { '-' } else { one }).collect()
    };
    headings.map(anchor).collect()
}

/// Says what is wrong with a link in a document at this path with this text.
fn fault_of_link(document: &Path, text: &str, link: &str) -> Option<String> {
    let (target, anchor) = link.split_once('#').map_or((link, None), |(target, anchor)| (target, Some(anchor)));
    let path = document.parent().unwrap().join(target);
    if !target.is_empty() && !path.exists() {
        return Some(format!("{link} leads to no file"));
    }
    let there = if target.is_empty() { text.to_owned() } else { fs::read_to_string(path).unwrap_or_default() };
    anchor.filter(|anchor| !anchors(&there).contains(*anchor)).map(|_| format!("{link} leads to no heading"))
}

#[test]
fn each_relative_link_leads_to_a_file_and_a_heading() {
    let mut seen = 0;
    for document in documents() {
        let text = read(&document);
        for link in links(&text) {
            seen += 1;
            assert_eq!(fault_of_link(&document, &text, &link), None, "{}", document.display());
        }
    }
    assert!(seen > 100, "{seen} links");
}

#[test]
fn a_wrong_link_is_found() {
    let (page, text) =
        (root().join("docs/page.md"), "# A page\n## What is `left`, and why?\n```sh\n# no heading\n```\n");
    for (link, right) in [
        ("exactly-once.md", true),
        ("exactly-once.md#what-is-left", true),
        ("#what-is-left-and-why", true),
        ("exactly-twice.md", false),
        ("exactly-once.md#what-is-right", false),
        ("#no-heading", false),
    ] {
        assert_eq!(fault_of_link(&page, text, link).is_none(), right, "{link}");
    }
    assert_eq!(links("[`a`](b.md#c) [d](https://e) `[f](g)`"), ["b.md#c"]);
}

/// Whether `whole` holds everything that is in `part`.
fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|found| holds(found, value)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| holds(whole, part))
        }
        (whole, part) => whole == part,
    }
}

/// Says what is wrong with a YAML block; an object of ours must survive its type without losing a field.
fn fault_of(block: &str) -> Option<String> {
    let objects: Vec<Value> = match serde_saphyr::from_multiple(block) {
        Ok(objects) => objects,
        Err(error) => return Some(error.to_string()),
    };
    let mut ours = objects.into_iter().filter(|object| object.get("kind").is_some_and(|kind| kind == "PaiInstance"));
    ours.find_map(|object| match serde_json::from_value::<PaiInstance>(object.clone()) {
        Err(error) => Some(error.to_string()),
        Ok(parsed) => (!holds(&serde_json::to_value(&parsed).unwrap(), &object))
            .then(|| format!("a field is not in the CRD: {object}")),
    })
}

#[test]
fn each_yaml_block_fits_the_crd() {
    for document in documents() {
        let text = read(&document);
        for (_, _, block) in parts(&text).filter(|(fenced, language, _)| *fenced && *language == "yaml") {
            assert_eq!(fault_of(block), None, "{}: {block}", document.display());
        }
    }
}

#[test]
fn a_wrong_yaml_block_is_found() {
    let good = read(&root().join("deploy/samples/prepaid.yaml"));
    assert_eq!(fault_of(&good), None);
    assert!(fault_of(&good.replace("region:", "regoin:")).is_some());
    assert!(fault_of(&good.replace("renewFlag:", "renewFlags:")).is_some());
    assert!(fault_of("a: [").is_some());
}
