//! A person's answer to an uncertain create: the annotation `pai.tencentcloud.io/resolve-create`. Pure.

use super::observe::{Observed, annotation};
use crate::api::conditions::cut_to_bytes;
use crate::api::{CreateAttempt, PaiInstance, RESOLVE_CREATE_ANNOTATION};

/// What a person may say. The id makes each answer good for one question only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `retry:<attemptId>`: there is no machine; try again.
    Retry(String),
    /// `adopt:<ins-id>`: that machine is it.
    Adopt(String),
    /// `abandon:<attemptId>`: give it up; nothing is created until `recreate`.
    Abandon(String),
    /// `recreate:<attemptId>`: start over, after an abandoned attempt or a machine that is gone.
    Recreate(String),
}

/// The answer in the annotation, if it can be read and was not declared ignored before.
pub fn answer(seen: &Observed) -> Option<Verb> {
    let text = annotation(&seen.object, RESOLVE_CREATE_ANNOTATION)?;
    let known = &seen.recollection;
    // The API server remembers it beyond a restart, this process also where the installed CRD does not.
    let remembered = known.last_answer_ignored && known.last_answer.as_deref() == Some(text);
    if remembered || seen.status.ignored_answer.as_deref() == Some(recorded(text)) {
        return None;
    }
    parse(text)
}

/// An answer as the status holds it. What is longer is none.
pub fn recorded(answer: &str) -> &str {
    cut_to_bytes(answer, 256)
}

fn parse(text: &str) -> Option<Verb> {
    let (verb, id) = text.split_once(':')?;
    let id = id.trim().to_owned();
    match verb.trim() {
        "retry" => Some(Verb::Retry(id)),
        "adopt" => Some(Verb::Adopt(id)),
        "abandon" => Some(Verb::Abandon(id)),
        "recreate" => Some(Verb::Recreate(id)),
        _ => None,
    }
}

/// The command that gives one answer.
pub fn command(object: &PaiInstance, answer: &str) -> String {
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    format!("kubectl annotate pai {name} -n {namespace} --overwrite {RESOLVE_CREATE_ANNOTATION}={answer}")
}

/// What stands for the id of a machine that only a person can find. A shell takes it as it is, and the operator ignores it.
const SOME_MACHINE: &str = "INSTANCE_ID";

/// The command for each machine that may be it.
pub fn adopt_commands(object: &PaiInstance, candidates: &[String]) -> String {
    let one = |id: &String| format!("if it is {id}: {}", command(object, &format!("adopt:{id}")));
    match candidates {
        [] => format!("if you find it there: {}", command(object, &format!("adopt:{SOME_MACHINE}"))),
        ids => ids.iter().map(one).collect::<Vec<_>>().join(" ; "),
    }
}

/// All answers to an attempt that is held, each a command that can be copied, with what it costs. Nothing is bought any more for an
/// object that is being deleted.
pub fn commands(object: &PaiInstance, attempt: &CreateAttempt, candidates: &[String]) -> String {
    let id = &attempt.id;
    let retry = match object.metadata.deletion_timestamp {
        None => format!(
            "if there is none, to buy one: {} (a second machine, if you are wrong) ; ",
            command(object, &format!("retry:{id}"))
        ),
        Some(_) => String::new(),
    };
    format!(
        "{} (it costs what it costs already) ; {retry}to give it up: {} (what was bought stays billed)",
        adopt_commands(object, candidates),
        command(object, &format!("abandon:{id}"))
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers() {
        let rows = [
            ("retry:a1", Some(Verb::Retry("a1".to_owned()))),
            ("adopt:ins-1", Some(Verb::Adopt("ins-1".to_owned()))),
            ("abandon:a1", Some(Verb::Abandon("a1".to_owned()))),
            ("recreate:a1", Some(Verb::Recreate("a1".to_owned()))),
            ("retry", None),
            ("destroy:a1", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    fn object(deleting: bool) -> PaiInstance {
        let mut object = json!({
            "apiVersion": "pai.tencentcloud.io/v1alpha1", "kind": "PaiInstance",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"region": "r", "credentialsRef": {"name": "c"}, "domainName": "a.b", "internetAccessible": {}}
        });
        if deleting {
            object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        serde_json::from_value(object).unwrap()
    }

    /// The answers of a message, each of which must be a whole command without anything that a shell would take for its own.
    fn answers_offered(text: &str) -> Vec<&str> {
        let start = "kubectl annotate pai web -n default --overwrite pai.tencentcloud.io/resolve-create=";
        let all = text.split("resolve-create=").count() - 1;
        let offered: Vec<&str> =
            text.split(start).skip(1).map(|rest| rest.split(' ').next().unwrap_or_default()).collect();
        assert_eq!(offered.len(), all, "{text}");
        assert!(offered.iter().all(|answer| answer.chars().all(|c| c.is_ascii_alphanumeric() || ":-_".contains(c))));
        offered
    }

    #[test]
    fn each_answer_is_a_command_that_can_be_copied() {
        let attempt: CreateAttempt = serde_json::from_value(json!({
            "id": "a1", "ordinal": 1, "state": "Held", "signedAt": "2026-01-01T00:00:00Z", "secretId": "s", "region": "r",
            "domainName": "a.b", "instanceName": "n", "nameOrigin": "Generated", "chargeType": "PREPAID"
        }))
        .unwrap();
        let rows: &[(bool, &[&str], &[&str])] = &[
            (false, &[], &["adopt:INSTANCE_ID", "retry:a1", "abandon:a1"]),
            (false, &["ins-1"], &["adopt:ins-1", "retry:a1", "abandon:a1"]),
            (false, &["ins-1", "ins-2"], &["adopt:ins-1", "adopt:ins-2", "retry:a1", "abandon:a1"]),
            (true, &["ins-1"], &["adopt:ins-1", "abandon:a1"]),
        ];
        for (deleting, candidates, expected) in rows {
            let candidates: Vec<String> = candidates.iter().map(|id| (*id).to_owned()).collect();
            let text = commands(&object(*deleting), &attempt, &candidates);
            assert_eq!(answers_offered(&text), *expected, "{text}");
        }
    }
}
