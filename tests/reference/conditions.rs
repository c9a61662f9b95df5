//! `docs/conditions.md`, from the lists of reasons.

use std::fmt::Write as _;
use std::fs;

use pai_operator::api::conditions::{PROGRESSING, PROGRESSING_WITH_RETRY};
use pai_operator::api::{EventReason, Reason, Synced};

use crate::{cell, is_up_to_date, read, root};

const HEAD: &str = "\
# Conditions and reasons

| condition | when it is there | reasons |
|---|---|---|
| `Ready` | always, from the first visit; true only while the machine runs and has the address it asked for | `Available`, else one of those below |
| `Synced` | always: whether the last pass compared spec and cloud | {synced} |
| `Reconciling` | only while work is under way | {reconciling} |
| `Stalled` | only while nothing moves until a person acts | that of `Ready`, or that of what a person must do besides |

Every condition carries the generation that it speaks of; times move only with the status; the message ends with the cloud's RequestId where there is
one. `kubectl wait --for=condition=Ready`, kstatus (Flux, `helm --wait` of Helm 4) and Argo CD judge by these
conditions alone.

## Reasons of Ready

\"A person\" says whether nothing moves until somebody acts (`Stalled=True`); all others are tried again by themselves.

| reason | a person | what has happened | what to do | what it costs meanwhile |
|---|---|---|---|---|
";

const EVENTS: &str = "
## Events

Each new reason of `Ready` or `Stalled` is told in an Event under the same word. These tell of what was done besides; those about a deleted
object are the last word on its machine, and the API server keeps Events for an hour by default:

| reason | type | what has happened | what to do |
|---|---|---|---|
";

fn in_code(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn page() -> String {
    let mut page = HEAD
        .replace("{synced}", &in_code(&Synced::ALL.map(Synced::reason)))
        .replace("{reconciling}", &in_code(&[PROGRESSING, PROGRESSING_WITH_RETRY]));
    for reason in Reason::ALL {
        let word = reason.as_str();
        let runbook = format!("runbooks/{word}.md");
        let has_runbook = root().join("docs").join(&runbook).exists();
        let name = if has_runbook { format!("[`{word}`]({runbook})") } else { format!("`{word}`") };
        let person = match (reason.needs_a_person(), reason) {
            (true, _) => "yes",
            (false, Reason::OutcomeUnknown) => "once held",
            (false, _) => "",
        };
        let [cause, remedy, cost] = [reason.cause(), reason.remedy(), reason.cost()].map(cell);
        writeln!(page, "| {name} | {person} | {cause} | {remedy} | {cost} |").unwrap();
    }
    page += EVENTS;
    for reason in EventReason::ALL {
        let kind = if reason.warns() { "Warning" } else { "Normal" };
        let [cause, remedy] = [reason.cause(), reason.remedy()].map(cell);
        writeln!(page, "| `{}` | {kind} | {cause} | {remedy} |", reason.as_str()).unwrap();
    }
    page
}

#[test]
fn the_page_lists_every_reason() {
    is_up_to_date("docs/conditions.md", &page());
}

/// The text of all files with this ending below a folder.
fn texts(folder: &str, ending: &str) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let below = format!("{folder}/{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            all += &texts(&below, ending);
        } else if path.extension().is_some_and(|found| found == ending) {
            all += &read(&path);
        }
    }
    all
}

/// Which of them is a weaker proof than that they are right, but a new one without any test does not pass.
#[test]
fn each_reason_is_expected_by_a_test_of_the_whole_operator() {
    let tests = texts("tests/e2e", "rs") + &texts("tests/faults", "rs");
    let conditions = Reason::ALL.iter().map(|reason| reason.as_str()).chain(Synced::ALL.map(Synced::reason));
    let events = EventReason::ALL.iter().map(|reason| reason.as_str());
    let all = conditions.chain([PROGRESSING, PROGRESSING_WITH_RETRY]).chain(events);
    let missing: Vec<&str> = all.filter(|word| !tests.contains(&format!("\"{word}\""))).collect();
    assert!(missing.is_empty(), "no test in tests/e2e or tests/faults expects {missing:?}");
}
