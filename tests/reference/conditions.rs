//! `docs/conditions.md`, from the one list of reasons.

use std::fmt::Write as _;

use pai_operator::api::Reason;

use crate::{cell, is_up_to_date, root};

const HEAD: &str = "\
# Conditions and reasons

| condition | when it is there | reasons |
|---|---|---|
| `Ready` | always, from the first visit; true only while the machine runs and has the address it asked for | `Available`, else one of those below |
| `Synced` | always: whether the last pass compared spec and cloud | `ReconcileSuccess`, `ReconcileError`, `Drifted`, `Paused` |
| `Reconciling` | only while work is under way | `Progressing`, `ProgressingWithRetry` |
| `Stalled` | only while nothing moves until a person acts | that of `Ready`, or that of what a person must do besides |

Every condition carries the generation that it speaks of; times move only with the status; the message ends with the cloud's RequestId where there is
one. Event reasons are the same words. `kubectl wait --for=condition=Ready`, kstatus (Flux, `helm --wait` of Helm 4) and Argo CD judge by these
conditions alone.

## Reasons of Ready

\"A person\" says whether nothing moves until somebody acts (`Stalled=True`); all others are tried again by themselves.

| reason | a person | what has happened | what to do | what it costs meanwhile |
|---|---|---|---|---|
";

#[test]
fn the_page_lists_every_reason() {
    let mut page = HEAD.to_owned();
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
    is_up_to_date("docs/conditions.md", &page);
}
