//! A person's answer to an uncertain create: the annotation `pai.tencentcloud.io/resolve-create`. Pure.

use super::observe::{Observed, annotation};
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
    if known.last_answer_ignored && known.last_answer.as_deref() == Some(text) {
        return None;
    }
    parse(text)
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

/// All answers to an attempt that is held, with what each costs. Nothing is bought any more for an object that is being deleted.
pub fn commands(object: &PaiInstance, attempt: &CreateAttempt) -> String {
    let id = &attempt.id;
    let retry = match object.metadata.deletion_timestamp {
        None => format!("retry:{id} (there is none: buy one) or "),
        Some(_) => String::new(),
    };
    format!(
        "{} (the machine is there: it is this object's), or the same with {retry}abandon:{id} (leave it; what was bought stays billed)",
        command(object, "adopt:<ins-id>")
    )
}

#[cfg(test)]
mod tests {
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
}
