//! The person who answers what the operator asks: looks into the console, and types the command that the message holds.

use std::thread;
use std::time::Duration;

use pai_operator::controller::resolve;
use serde_json::Value;

use crate::keeper::Course;
use crate::land::{Land, condition, text};

/// Answers until the run is over.
pub fn answer_all(land: &Land, course: &Course) {
    let _ending = course.ends_with_me();
    while !course.over() {
        // While the API server is away there is nothing to read.
        for object in land.objects().unwrap_or_default() {
            if let Some(command) = command(&object, |domain| machine(land, domain)) {
                let words: Vec<&str> = command.split(' ').collect();
                // An answer that does not land is given again.
                let _ = land.stack.kubectl(&words);
            }
        }
        thread::sleep(Duration::from_secs(2));
    }
}

/// The machine that the console shows under a domain.
fn machine(land: &Land, domain: &str) -> Option<String> {
    let machines = land.stack.simulator().instances().unwrap();
    machines
        .iter()
        .find(|machine| machine["DomainName"] == domain)
        .map(|machine| text(&machine["InstanceId"]).to_owned())
}

/// What to type after `kubectl`, where an object waits for a person because the outcome of its create is unknown.
fn command(object: &Value, machine: impl Fn(&str) -> Option<String>) -> Option<String> {
    let stalled = condition(object, "Stalled").filter(|stalled| stalled["reason"] == "OutcomeUnknown")?;
    let message = text(&stalled["message"]);
    let answer = if let Some(id) = machine(text(&object["spec"]["domainName"])) {
        format!("adopt:{id}")
    } else {
        let from = message.find("retry:")?;
        message[from..].split(' ').next()?.to_owned()
    };
    let given = &object["metadata"]["annotations"]["pai.tencentcloud.io/resolve-create"];
    let (_, command) = message.split_once("kubectl ")?;
    let (command, _) = command.split_once("resolve-create=")?;
    (text(given) != answer).then(|| format!("{command}resolve-create={answer}"))
}

#[test]
fn the_command_is_the_one_in_the_message() {
    let mut object = serde_json::json!({
        "apiVersion": "pai.tencentcloud.io/v1alpha1", "kind": "PaiInstance",
        "metadata": {"name": "a", "namespace": "default"},
        "spec": {"region": "r", "credentialsRef": {"name": "c"}, "domainName": "a.b", "internetAccessible": {}},
    });
    let attempt = serde_json::from_value(serde_json::json!({
        "id": "a1", "ordinal": 1, "state": "Held", "signedAt": "2026-01-01T00:00:00Z", "secretId": "s", "region": "r",
        "domainName": "a.b", "instanceName": "n", "nameOrigin": "Generated", "chargeType": "PREPAID",
    }))
    .unwrap();
    // The product's own words: a message that changes must not leave this person without an answer.
    let offered = resolve::commands(&serde_json::from_value(object.clone()).unwrap(), &attempt, &[]);
    let message = format!("Look in the console. Then, {offered}");
    object["status"] =
        serde_json::json!({"conditions": [{"type": "Stalled", "reason": "OutcomeUnknown", "message": message}]});
    let typed = |answer: &str| {
        Some(format!("annotate pai a -n default --overwrite pai.tencentcloud.io/resolve-create={answer}"))
    };
    assert_eq!(command(&object, |_| None), typed("retry:a1"));
    assert_eq!(command(&object, |domain| (domain == "a.b").then(|| "ins-1".to_owned())), typed("adopt:ins-1"));
    object["metadata"]["annotations"]["pai.tencentcloud.io/resolve-create"] = "retry:a1".into();
    assert_eq!(command(&object, |_| None), None, "it was typed already");
    object["status"]["conditions"][0]["reason"] = "DomainTaken".into();
    assert_eq!(command(&object, |_| Some("ins-1".to_owned())), None);
}
